// Faults of aimock, a model server that nobody here wrote, by its own switches; and what each is to a router.

import type { ChaosConfig, FixtureOpts } from "@copilotkit/aimock";
import type { Alternatives, Cell, Mode, Moment, Nature } from "../matrix/cell.ts";

/** What a fixture of aimock answers with. */
type Answer =
  | { readonly content: string; readonly finishReason?: string }
  | {
      readonly error: { readonly message: string; readonly type: string };
      readonly status: number;
    };

export type AimockCase = {
  readonly name: string;
  readonly answer: Answer;
  readonly options: FixtureOpts;
  readonly nature: Nature;
  readonly moment: Moment;
  readonly modes: readonly Mode[];
};

/** Characters of one chunk of a stream. */
export const chunkSize = 8;

/** 30 chunks. */
export const content = Array.from({ length: 30 }, (_, index) =>
  `word-${index % 10} x`.slice(0, 8),
).join("");

const both: readonly Mode[] = ["stream", "whole"];
const streamed: readonly Mode[] = ["stream"];
const legal: Nature = { kind: "legal" };

export const aimockCases: readonly AimockCase[] = [
  answering("plain", {}, legal),
  answering("latency", { latency: 4 }, legal, streamed),
  answering("physics", { streamingProfile: { ttft: 80, tps: 300, jitter: 0.5 } }, legal, streamed),
  answering("chaos-latency", { chaos: { latencyMs: 200 } }, legal),
  chaos("drop", { dropRate: 1 }, { kind: "fails", failure: "status", status: 500 }),
  chaos("malformed", { malformedRate: 1 }, { kind: "fails", failure: "malformed" }),
  chaos("rate-limit", { rateLimitRate: 1 }, { kind: "fails", failure: "saturated", status: 429 }),
  chaos("disconnect", { disconnectRate: 1 }, { kind: "fails", failure: "no-answer" }),
  chaos("stall", { latencyMs: 20_000 }, { kind: "stalls", pings: false }),
  // Its first chunk says who speaks, and nothing more; the last one before a cut is still in its own buffer then.
  cut("token-0", 2),
  cut("token-1", 3),
  cut("token-20", 22),
  cut("last", 32),
  {
    ...answering(
      "disconnect-early",
      { disconnectAfterMs: 40, streamingProfile: { ttft: 300 } },
      { kind: "fails", failure: "no-answer" },
      streamed,
    ),
    moment: "before-headers",
  },
  // It says nothing, and that it took tokens for it: an answer.
  { ...answering("empty", {}, legal), answer: { content: "" } },
  refusing(400, { kind: "request-fault", status: 400 }),
  refusing(401, { kind: "fails", failure: "status", status: 401 }),
  refusing(404, { kind: "fails", failure: "status", status: 404 }),
  refusing(503, { kind: "fails", failure: "status", status: 503 }),
];

/** The cells of all cases, with nobody and with one to fall back on. */
export function aimockCells(): readonly (Cell & { readonly fixture: AimockCase })[] {
  const choices: readonly Alternatives[] = [0, 1];
  return aimockCases.flatMap((fixture) =>
    fixture.modes.flatMap((mode) =>
      choices.map((alternatives) => ({
        name: `aimock ${fixture.name} ${fixture.moment} ${mode} +${alternatives}`,
        family: "plain" as const,
        fault: fixture.name,
        moment: fixture.moment,
        mode,
        alternatives,
        rule: { kind: fixture.name },
        nature: fixture.nature,
        onPort: true,
        victims: 1,
        leaving: undefined,
        more: {},
        fixture,
      })),
    ),
  );
}

function answering(
  name: string,
  options: FixtureOpts,
  nature: Nature,
  modes: readonly Mode[] = both,
): AimockCase {
  return {
    name,
    answer: { content },
    options: { chunkSize, ...options },
    nature,
    moment: "whole",
    modes,
  };
}

function chaos(name: string, config: ChaosConfig, nature: Nature): AimockCase {
  const fixture = answering(`chaos-${name}`, { chaos: config }, nature);
  return { ...fixture, moment: "before-headers" };
}

function cut(moment: Moment, truncateAfterChunks: number): AimockCase {
  const nature: Nature = { kind: "fails", failure: "reset" };
  const fixture = answering(
    `truncate-${moment}`,
    { truncateAfterChunks, latency: 2 },
    nature,
    streamed,
  );
  return { ...fixture, moment };
}

function refusing(status: number, nature: Nature): AimockCase {
  return {
    ...answering(`error-${status}`, {}, nature),
    answer: { error: { message: "a fixture's error", type: "api_error" }, status },
    moment: "before-headers",
  };
}
