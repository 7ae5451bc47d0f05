// Whether a request ended as it should: what the client has, byte for byte, against its plan, and what the upstreams
// saw of it.

import { assertNever } from "@meridian/proto/base";
import type { Observation } from "./client.ts";
import { type EventReading, readEvents } from "./events.ts";
import { type Plan, unreadBytesMax } from "./plan.ts";
import { type CallRecord, type Script, textOf } from "./script.ts";

/** A request that is over, with all that is known of it. */
export type Case = {
  readonly plan: Plan;
  readonly seen: Observation;
  readonly calls: readonly CallRecord[];
  /** Calls of it that have not ended, though the client's side is over. */
  readonly openCalls: number;
};

/** What is wrong; undefined: it ended as it should. */
export function judge(one: Case): string | undefined {
  const { calls, openCalls, plan, seen } = one;
  if (seen.isOverdue) return "no end within the limit";
  if (openCalls > 0) return `${openCalls} calls still open at the upstreams`;
  const complaint = calls.find((each) => each.complaint !== undefined)?.complaint;
  if (complaint !== undefined) return complaint;
  switch (plan.expected) {
    case "complete":
      return plan.stream ? judgeStream(plan, seen) : judgeWhole(plan, seen);
    case "broken":
      return judgeBroken(plan, seen, calls);
    case "left":
      return judgeLeft(plan, seen, calls);
    default:
      return assertNever(plan.expected);
  }
}

function judgeStream(plan: Plan, seen: Observation): string | undefined {
  const { script } = plan;
  if (seen.status !== 200) return refusal(seen);
  if (!seen.isWhole) return `the body was cut: ${seen.error}; ${seen.body.slice(-300)}`;
  const read = readEvents(seen.body);
  const flaw = flawOf(read);
  if (flaw !== undefined) return flaw;
  if (read.errors > 0) return `an error frame: ${seen.body.slice(-300)}`;
  if (!read.isDone || read.finishes !== 1) return "no proper end, though the body is whole";
  if (read.text !== textOf(script, script.tokens)) return textFlaw(read.text, script);
  if (!plan.asksUsage)
    return read.usages.length === 0 ? undefined : "usage that nobody had asked for";
  const [usage] = read.usages;
  if (usage === undefined || read.usages.length > 1)
    return `usage came ${read.usages.length} times`;
  return usage[1] === script.tokens
    ? undefined
    : `usage says ${usage[1]} of ${script.tokens} tokens`;
}

function judgeWhole(plan: Plan, seen: Observation): string | undefined {
  if (seen.status !== 200) return refusal(seen);
  if (!seen.isWhole) return `the answer was cut: ${seen.error}`;
  const content = wholeText(seen.body);
  return content === textOf(plan.script, plan.script.tokens)
    ? undefined
    : "the answer's text is wrong";
}

/** A cut stream must look like one: an error frame, no end of the protocol's, none of HTTP's. */
function judgeBroken(
  { script }: Plan,
  seen: Observation,
  calls: readonly CallRecord[],
): string | undefined {
  if (seen.status !== 200) return refusal(seen);
  const read = readEvents(seen.body);
  const flaw = flawOf(read);
  if (flaw !== undefined) return flaw;
  if (read.isDone || read.finishes > 0) return "a cut stream looks complete: the protocol's end";
  if (seen.isWhole) return "a cut stream looks complete: HTTP's end";
  if (read.errors !== 1) return `${read.errors} error frames in a broken stream`;
  const fault = script.calls[0]?.fault;
  const written = calls[0]?.tokens ?? 0;
  if (!textOf(script, written).startsWith(read.text)) return textFlaw(read.text, script);
  // A reset may overtake what was sent before it.
  if (fault?.kind !== "reset" && read.tokens !== written) {
    return `${read.tokens} tokens of the ${written} that came before the ${fault?.kind}`;
  }
  return undefined;
}

function judgeLeft(
  { behaviour, script, stream }: Plan,
  seen: Observation,
  calls: readonly CallRecord[],
): string | undefined {
  if (seen.leftAtMs === undefined)
    return `over before the client left: ${seen.status}, ${seen.error}`;
  if (behaviour.kind === "leave-in-upload" && calls.length > 0) return "half a request was sent on";
  const unreadBytes = (calls[0]?.tokens ?? 0) * script.tokenSize;
  if (unreadBytes > unreadBytesMax) return `${unreadBytes} bytes were taken that nobody read`;
  if (!stream || seen.body === "") return undefined;
  const read = readEvents(seen.body);
  const flaw = flawOf({ ...read, rest: "" });
  if (flaw !== undefined) return flaw;
  // Where the machine is busy a client may leave later than the whole answer came.
  const isAll = calls.at(-1)?.end === "complete" && read.text === textOf(script, script.tokens);
  if (read.errors > 0 || (read.isDone && !isAll)) {
    return `an end before the end: ${seen.body.slice(-300)}`;
  }
  return textOf(script, script.tokens).startsWith(read.text)
    ? undefined
    : textFlaw(read.text, script);
}

function flawOf(read: EventReading): string | undefined {
  if (read.strange > 0) return `${read.strange} events that are none, or come after the end`;
  return read.rest === "" ? undefined : `half an event: ${read.rest.slice(0, 200)}`;
}

function textFlaw(text: string, script: Script): string {
  const whole = textOf(script, script.tokens);
  let at = 0;
  while (at < text.length && text[at] === whole[at]) at += 1;
  const [got, wanted] = [text.slice(at, at + 60), whole.slice(at, at + 60)];
  return `the text goes wrong at ${at} of ${whole.length}: ${got || "(nothing)"} for ${wanted}`;
}

function refusal({ status, error, body }: Observation): string {
  return status === undefined ? `no answer: ${error}` : `status ${status}: ${body.slice(0, 300)}`;
}

function wholeText(body: string): string | undefined {
  try {
    return JSON.parse(body).choices[0].message.content;
  } catch {
    return undefined;
  }
}
