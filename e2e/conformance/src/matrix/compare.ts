// Holds what was seen of a cell against what must be seen: each difference in words.

import type { Asked, Saw } from "../ask.ts";
import type { Decision } from "./decision.ts";
import type { ClientView, Expectation } from "./oracle.ts";
import type { Reference } from "./reference.ts";
import type { SeenCall } from "./simulator.ts";

export type Evidence = {
  readonly asked: Asked;
  /** Wall time at which the request was made. */
  readonly askedAtMs: number;
  readonly calls: readonly SeenCall[];
  readonly decision: Decision | undefined;
  readonly reference: Reference;
};

/** Clocks of two processes, and timers that fire early. */
const earlyMs = 30;

export function differences(expected: Expectation, evidence: Evidence): readonly string[] {
  return [
    ...clientDifferences(expected.client, evidence),
    ...timeDifferences(expected, evidence),
    ...callDifferences(expected, evidence),
    ...decisionDifferences(expected, evidence),
  ];
}

function clientDifferences(expected: ClientView, evidence: Evidence): readonly string[] {
  const { saw } = evidence.asked;
  const { tokens } = evidence.reference;
  const seen = describe(saw);
  switch (expected.kind) {
    case "answer": {
      const isRight =
        saw.kind === "answer" && saw.finish === "stop" && saw.text === tokens.join("");
      return isRight ? [] : [`client: expected the whole answer, saw ${seen}`];
    }
    case "refused": {
      const isRight =
        saw.kind === "error" &&
        saw.isApiError &&
        saw.status === expected.status &&
        saw.text === "" &&
        saw.code !== undefined;
      return isRight ? [] : [`client: expected status ${expected.status} with a code, saw ${seen}`];
    }
    default: {
      const count = expected.tokens === "all" ? tokens.length : expected.tokens;
      const isRight =
        saw.kind === "error" &&
        saw.isApiError &&
        saw.code === "stream_broken" &&
        saw.text === tokens.slice(0, count).join("");
      return isRight
        ? []
        : [`client: expected ${count} tokens and the error stream_broken, saw ${seen}`];
    }
  }
}

function describe(saw: Saw): string {
  const said = `${saw.text.split(" ").length - (saw.text === "" ? 1 : 0)} words`;
  if (saw.kind === "answer") return `an answer of ${said}, finish ${saw.finish}`;
  const kind = saw.isApiError ? "error" : "broken connection";
  return `${kind} ${saw.status ?? ""} ${saw.code ?? ""} after ${said}: ${saw.message}`;
}

function timeDifferences(expected: Expectation, { asked }: Evidence): readonly string[] {
  const took = Math.round(asked.tookMs);
  if (took < expected.afterMs - earlyMs) {
    return [`time: expected no end before ${expected.afterMs} ms, saw it after ${took} ms`];
  }
  return took > expected.withinMs
    ? [`time: expected an end within ${expected.withinMs} ms, saw it after ${took} ms`]
    : [];
}

function callDifferences(expected: Expectation, evidence: Evidence): readonly string[] {
  const { calls, askedAtMs } = evidence;
  const shown = calls.map((each) => `${each.outcome}/${each.ending}`).join(", ");
  const found: string[] = [];
  if (calls.length !== expected.calls) {
    found.push(`model servers: expected ${expected.calls} calls, saw ${calls.length}: ${shown}`);
  }
  const open = calls.filter((each) => each.ending === "open");
  if (open.length > 0) found.push(`model servers: ${open.length} calls never ended: ${shown}`);
  if (!expected.isLeft) return found;
  for (const each of calls.filter((call) => call.outcome.startsWith("fault:"))) {
    const leftAfter = (each.endedAtMs ?? Number.POSITIVE_INFINITY) - askedAtMs;
    if (each.ending === "cancelled" && leftAfter <= expected.withinMs) continue;
    found.push(
      `model servers: expected the silent one to be left, saw ${shown} at ${leftAfter} ms`,
    );
  }
  return found;
}

function decisionDifferences(expected: Expectation, evidence: Evidence): readonly string[] {
  const { decision } = evidence;
  if (decision === undefined) return [];
  const wanted = [expected.ending, ...expected.outcomes].join(", ");
  const seen = [decision.ending, ...decision.outcomes].join(", ");
  return wanted === seen ? [] : [`decision record: expected ${wanted}, saw ${seen}`];
}
