// Holds what was seen of a cell against what must be seen: each difference in words.

import type { Asked, Saw } from "../question.ts";
import type { Decision } from "./decision.ts";
import type { ClientView, Expectation } from "./oracle.ts";
import type { Reference } from "./reference.ts";
import type { SeenCall } from "./simulator.ts";

export type Evidence = {
  readonly asked: Asked;
  /** Wall time at which the request was made. */
  readonly askedAtMs: number;
  /** Wall time at which the application left. */
  readonly leftAtMs: number | undefined;
  readonly calls: readonly SeenCall[];
  readonly decision: Decision | undefined;
  readonly reference: Reference;
  /** The client asked for usage in its stream. */
  readonly usageAsked: boolean;
  /** 1 on a machine that does nothing else; more where others run: bounds for being late are so many times as long. */
  readonly patience: number;
};

/** Clocks of two processes, and timers that fire early. */
const earlyMs = 30;

/** A model server sees so soon that nobody reads its answer any more. */
const leftMsMax = 100;

export function differences(expected: Expectation, evidence: Evidence): readonly string[] {
  return [
    ...frontDifferences(expected, evidence),
    ...callDifferences(expected, evidence),
    ...byteDifferences(expected, evidence),
  ];
}

/** What client and proxy tell, for model servers that keep no log of ours. */
export function frontDifferences(expected: Expectation, evidence: Evidence): readonly string[] {
  return [
    ...clientDifferences(expected.client, evidence),
    ...timeDifferences(expected, evidence),
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
        (saw.code !== undefined || expected.passedOn === true);
      return isRight ? [] : [`client: expected status ${expected.status} with a code, saw ${seen}`];
    }
    case "gone": {
      // The official client ends a stream that it left without a word.
      const isRight = saw.kind === "error" ? saw.status === undefined : saw.finish === undefined;
      return isRight ? [] : [`client: expected to have left, saw ${seen}`];
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

function timeDifferences(expected: Expectation, evidence: Evidence): readonly string[] {
  const took = Math.round(evidence.asked.tookMs);
  if (took < expected.afterMs - earlyMs) {
    return [`time: expected no end before ${expected.afterMs} ms, saw it after ${took} ms`];
  }
  const withinMs = boundOf(expected, evidence);
  return took > withinMs
    ? [`time: expected an end within ${withinMs} ms, saw it after ${took} ms`]
    : [];
}

function boundOf({ afterMs, withinMs }: Expectation, { patience }: Evidence): number {
  return afterMs + (withinMs - afterMs) * patience;
}

function callDifferences(expected: Expectation, evidence: Evidence): readonly string[] {
  const { calls } = evidence;
  const shown = calls.map((each) => `${each.outcome}/${each.ending}`).join(", ");
  const found: string[] = [];
  if (calls.length !== expected.calls) {
    found.push(`model servers: expected ${expected.calls} calls, saw ${calls.length}: ${shown}`);
  }
  const open = calls.filter((each) => each.ending === "open");
  if (open.length > 0) found.push(`model servers: ${open.length} calls never ended: ${shown}`);
  return expected.isLeft ? [...found, ...silenceDifferences(expected, evidence, shown)] : found;
}

/** Who went silent sees its caller leave, in time. */
function silenceDifferences(
  expected: Expectation,
  evidence: Evidence,
  shown: string,
): readonly string[] {
  const { calls, askedAtMs, leftAtMs, patience } = evidence;
  const since = leftAtMs ?? askedAtMs;
  const withinMs = leftAtMs === undefined ? boundOf(expected, evidence) : leftMsMax * patience;
  const silent = calls.filter((each) => each.outcome !== "completed" && each.ending !== "cut");
  if (silent.length === 0) return [`model servers: nobody was silent: ${shown}`];
  return silent.flatMap((each) => {
    const afterMs = (each.endedAtMs ?? Number.POSITIVE_INFINITY) - since;
    if (each.ending === "cancelled" && afterMs <= withinMs) return [];
    const wanted = `expected the silent one to be left within ${withinMs} ms`;
    return [`model servers: ${wanted}, saw ${shown} at ${afterMs} ms`];
  });
}

function decisionDifferences(expected: Expectation, evidence: Evidence): readonly string[] {
  const { decision } = evidence;
  if (decision === undefined) return [];
  const found: string[] = [];
  const wanted = [expected.ending, ...expected.outcomes].join(", ");
  const seen = [decision.ending, ...decision.outcomes].join(", ");
  if (wanted !== seen) found.push(`decision record: expected ${wanted}, saw ${seen}`);
  if (expected.usage !== undefined) found.push(...usageDifferences(expected.usage, evidence));
  return found;
}

function usageDifferences(
  expected: NonNullable<Expectation["usage"]>,
  { decision, reference }: Evidence,
): readonly string[] {
  const tokens = expected.tokens === "all" ? reference.tokens.length : expected.tokens;
  const usage = decision?.usage;
  if (usage?.exact === expected.exact && usage.outputTokens === tokens) return [];
  // Without a stream there is nothing to count by: an estimate is whatever it is, as long as it says so.
  if (!expected.exact && usage?.exact === false && evidenceIsWhole(decision)) return [];
  const kind = expected.exact ? "told" : "estimated";
  const seen = `${usage?.outputTokens} tokens ${usage?.exact ? "told" : "estimated"}`;
  return [`usage: expected ${tokens} tokens ${kind}, saw ${seen}`];
}

function evidenceIsWhole(decision: Evidence["decision"]): boolean {
  return decision?.stream === false;
}

/** One marker for each seam, one id, one role, and no usage that nobody asked for. */
function byteDifferences(
  expected: Expectation,
  { asked, usageAsked }: Evidence,
): readonly string[] {
  const { bytes, saw } = asked;
  if (bytes === undefined || saw.kind !== "answer") return [];
  const found: string[] = [];
  const seams = bytes.comments.filter((each) => each.includes("meridian")).length;
  if (seams !== expected.seams) {
    found.push(`bytes: expected ${expected.seams} seams, saw comments ${bytes.comments.join("|")}`);
  }
  if (bytes.ids.length !== 1) found.push(`bytes: expected one id, saw ${bytes.ids.join(", ")}`);
  if (bytes.roles !== 1) found.push(`bytes: expected one role, saw ${bytes.roles}`);
  // Who asked for usage that the model server keeps to itself may get none.
  const isToldRight = usageAsked ? bytes.usages <= 1 : bytes.usages === 0;
  if (!isToldRight) found.push(`bytes: saw usage ${bytes.usages} times`);
  return found;
}
