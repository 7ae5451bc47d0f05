import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import type { Observation } from "./client.ts";
import { type Case, judge } from "./judge.ts";
import { drawPlan, type Plan } from "./plan.ts";
import { type CallRecord, tokenText } from "./script.ts";

const base = planOf({ expected: "complete", asksUsage: false, stream: true });

test("a stream with every token and both ends is right", () => {
  expect(judge(caseOf(base, {}))).toBeUndefined();
  const usage = { prompt_tokens: 9, completion_tokens: 3 };
  const asked = { ...base, asksUsage: true };
  expect(judge(caseOf(asked, { body: stream(3, { usage }) }))).toBeUndefined();
});

test.each<[string, Partial<Observation>, RegExp]>([
  ["a token is missing", { body: stream(2) }, /the text goes wrong at/],
  ["a token came twice", { body: `${frame(tokenText(base.script, 0))}${stream(3)}` }, /goes wrong/],
  ["the protocol's end is missing", { body: stream(3, { isDone: false }) }, /no proper end/],
  ["HTTP's end is missing", { isWhole: false }, /the body was cut/],
  ["an error came", { body: stream(3, { error: true }) }, /an error frame/],
  ["something follows the end", { body: `${stream(3)}${frame("x")}` }, /come after the end/],
  ["half an event is left", { body: `${stream(3)}data: {` }, /half an event/],
  ["usage came unasked", { body: stream(3, { usage: {} }) }, /nobody had asked for/],
  ["it was refused", { status: 503, body: "{}" }, /status 503/],
  ["there was no answer", { status: undefined, error: "ECONNRESET" }, /ECONNRESET/],
  ["it did not end", { isOverdue: true }, /no end within the limit/],
])("a stream that should be complete is wrong when %s", (_, seen, complaint) => {
  expect(judge(caseOf(base, seen))).toMatch(complaint);
});

test("usage that was asked for must be there once, and right", () => {
  const asked = { ...base, asksUsage: true };
  expect(judge(caseOf(asked, {}))).toMatch(/usage came 0 times/);
  const wrong = stream(3, { usage: { prompt_tokens: 9, completion_tokens: 2 } });
  expect(judge(caseOf(asked, { body: wrong }))).toMatch(/usage says 2 of 3/);
});

const fault = { kind: "end", atToken: 2 } as const;
const cut = planOf({ expected: "broken", asksUsage: false, stream: true, fault });
const cutCalls = [record({ tokens: 2, end: "fault" })];
const cutBody = stream(2, { isDone: false, error: true });

test("a cut stream with its tokens, one error and no end is right", () => {
  expect(judge(caseOf(cut, { body: cutBody, isWhole: false }, cutCalls))).toBeUndefined();
});

test.each<[string, Partial<Observation>, RegExp]>([
  ["the protocol's end follows", { body: `${cutBody}data: [DONE]\n\n` }, /looks complete/],
  ["HTTP's end follows", { body: cutBody, isWhole: true }, /looks complete/],
  ["nothing says so", { body: stream(2, { isDone: false }) }, /0 error frames/],
  ["a token is missing", { body: stream(1, { isDone: false, error: true }) }, /1 tokens of the 2/],
])("a cut stream is wrong when %s", (_, seen, complaint) => {
  expect(judge(caseOf(cut, { isWhole: false, ...seen }, cutCalls))).toMatch(complaint);
});

const left = planOf({ expected: "left", asksUsage: false, stream: true });
const leaving = { isWhole: false, leftAtMs: 1, body: stream(1, { isDone: false }) };

test("a client that left may have anything but an end, unless the answer was whole by then", () => {
  expect(judge(caseOf(left, leaving))).toBeUndefined();
  const cancelled = [record({ tokens: 3, end: "cancelled" })];
  const early = caseOf(left, { ...leaving, body: stream(3) }, cancelled);
  expect(judge(early)).toMatch(/an end before the end/);
  const short = caseOf(left, { ...leaving, body: stream(2) }, [record({ end: "complete" })]);
  expect(judge(short)).toMatch(/an end before the end/);
  const whole = caseOf(left, { ...leaving, body: stream(3) }, [record({ end: "complete" })]);
  expect(judge(whole)).toBeUndefined();
  expect(judge(caseOf(left, { ...leaving, leftAtMs: undefined }))).toMatch(
    /before the client left/,
  );
  const other = frame(tokenText({ id: "other", tokenSize: 8 }, 0));
  expect(judge(caseOf(left, { ...leaving, body: other }))).toMatch(/goes wrong at 0/);
});

test("a call that is open when its client is gone is wrong, whatever the client saw", () => {
  expect(judge({ ...caseOf(left, leaving), openCalls: 1 })).toMatch(/still open/);
  const strange = record({ complaint: "the text before the continuation is not the answer's" });
  expect(judge(caseOf(base, {}, [strange]))).toMatch(/before the continuation/);
});

test("of an answer that nobody reads the upstream gets rid of a bounded part", () => {
  const plan = { ...left, script: { ...left.script, tokenSize: 1_000_000 } };
  const seen = { ...leaving, body: "" };
  expect(judge(caseOf(plan, seen, [record({ tokens: 30 })]))).toBeUndefined();
  expect(judge(caseOf(plan, seen, [record({ tokens: 40 })]))).toMatch(/that nobody read/);
});

function planOf(
  wanted: Pick<Plan, "expected" | "asksUsage" | "stream"> & { readonly fault?: typeof fault },
): Plan {
  const drawn = drawPlan("k", seededRandom("judge"));
  const calls = [{ firstMs: 1, fault: wanted.fault }];
  return {
    ...drawn,
    ...wanted,
    behaviour: { kind: "read" },
    script: { ...drawn.script, tokens: 3, tokenSize: 8, calls },
  };
}

function caseOf(plan: Plan, seen: Partial<Observation>, calls = [record({})]): Case {
  const usual = {
    status: 200,
    body: stream(3),
    isWhole: true,
    leftAtMs: undefined,
    isSent: true,
    isOverdue: false,
    error: undefined,
  };
  return { plan, seen: { ...usual, ...seen }, calls, openCalls: 0 };
}

function record(more: Partial<CallRecord>): CallRecord {
  const usual = { id: "k", place: 0, begunAtMs: 0, tokens: 3, endedAtMs: 1, complaint: undefined };
  return { ...usual, end: "complete", ...more };
}

function stream(
  tokens: number,
  more: { readonly isDone?: boolean; readonly error?: boolean; readonly usage?: object } = {},
): string {
  const script = { id: "k", tokenSize: 8 };
  const told = Array.from({ length: tokens }, (_, index) => frame(tokenText(script, index)));
  const usage =
    more.usage === undefined ? "" : `data: ${JSON.stringify({ usage: more.usage })}\n\n`;
  const error = more.error === true ? 'data: {"error":{"message":"cut"}}\n\n' : "";
  const end = more.isDone === false ? "" : `${frame("", "stop")}${usage}data: [DONE]\n\n`;
  return `${frame("")}${told.join("")}${error}${end}`;
}

function frame(content: string, finish: string | null = null): string {
  return `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: finish }] })}\n\n`;
}
