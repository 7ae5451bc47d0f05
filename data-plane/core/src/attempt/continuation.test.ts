import { expect, test } from "vitest";
import type { Budgets } from "./attempt.ts";
import { AttemptMachine } from "./attempt-machine.ts";
import { upstreamFailure } from "./failure.ts";
import { budgets, candidate, failed, kinds, noWait, ports, token } from "./test-ports.ts";

/** Candidates 1, 3, 5 can go on from an assistant's words, 0, 2, 4 can't. The first one speaks at 10. */
function speaking(slots: readonly number[], given: Partial<Budgets> = {}, continuable = true) {
  const fake = ports(slots.map((slot) => candidate(slot)));
  const all = { ...budgets, continues: true, ...given };
  const made = new AttemptMachine(fake, all, noWait);
  made.step({ kind: "start" }, 0);
  expect(kinds(made.step(token(1, continuable), 10))).toEqual(["commit 1"]);
  return { made, fake };
}

test("a committed stream that breaks goes on from a candidate that can, and its first token splices", () => {
  const { made, fake } = speaking([0, 2, 1]);
  expect(made.mayContinue()).toBe(true);
  expect(kinds(made.step(failed(1, "reset"), 20))).toEqual(["continuation 2"]);
  expect(made.records()[1]).toMatchObject({ role: "continuation", candidate: { slot: 1 } });
  expect(made.committed()).toBe(true);
  expect(kinds(made.step(token(2, true), 30))).toEqual(["splice 2"]);
  expect(made.step(token(2, true), 31)).toEqual([]);
  expect(kinds(made.step({ kind: "complete", attempt: 2 }, 40))).toEqual(["finish complete"]);
  expect(fake.spent).toEqual([]);
});

test("a stall is cut and gone on from", () => {
  const { made } = speaking([0, 1]);
  expect(kinds(made.step({ kind: "tick" }, 510))).toEqual(["cancel 1", "continuation 2"]);
});

test.each<[string, Partial<Budgets>, boolean, readonly number[]]>([
  ["the policy does not say so", { continues: false }, true, [0, 1]],
  ["the last token can't stand before another's answer", {}, false, [0, 1]],
  ["nobody can go on", {}, true, [0, 2]],
  ["no attempt is left", { attempts: 1 }, true, [0, 1]],
])("a broken stream ends with its failure where %s", (_, given, continuable, slots) => {
  const { made } = speaking(slots, given, continuable);
  expect(made.step(failed(1, "truncated"), 20)).toMatchObject([
    { kind: "finish", ending: { kind: "broken", attempt: 1, failure: { kind: "truncated" } } },
  ]);
});

test("a later token that can't be gone on from takes the continuation back", () => {
  const { made } = speaking([0, 1]);
  made.step(token(1, false), 20);
  expect(kinds(made.step(failed(1, "reset"), 30))).toEqual(["finish broken"]);
});

test("continuations follow one another; when nobody is left the first failure is told", () => {
  const { made } = speaking([0, 1, 3], { attempts: 5 });
  made.step(failed(1, "reset"), 20);
  expect(kinds(made.step(failed(2, "status"), 30))).toEqual(["continuation 3"]);
  expect(made.step(failed(3, "connect"), 40)).toMatchObject([
    { ending: { kind: "broken", attempt: 1, failure: { kind: "reset" } } },
  ]);
});

test("a continuation that breaks in its turn is gone on from, and its own failure is told", () => {
  const { made } = speaking([0, 1, 3], { attempts: 5 });
  made.step(failed(1, "reset"), 20);
  made.step(token(2, true), 30);
  expect(kinds(made.step(failed(2, "truncated"), 40))).toEqual(["continuation 3"]);
  expect(made.step(failed(3, "connect"), 50)).toMatchObject([
    { ending: { kind: "broken", attempt: 2, failure: { kind: "truncated" } } },
  ]);
});

test("a refusal of the request is a continuation's failure: the client has an answer already", () => {
  const { made } = speaking([0, 1]);
  made.step(failed(1, "reset"), 20);
  expect(kinds(made.step({ kind: "rejected", attempt: 2 }, 30))).toEqual(["finish broken"]);
});

test("a continuation without a further word completes the answer", () => {
  const { made } = speaking([0, 1]);
  made.step(failed(1, "reset"), 20);
  expect(kinds(made.step({ kind: "complete", attempt: 2 }, 30))).toEqual([
    "splice 2",
    "finish complete",
  ]);
});

test("the last continuation is waited for until the request's time is over", () => {
  const { made } = speaking([0, 1]);
  made.step(failed(1, "reset"), 20);
  made.step({ kind: "connected", attempt: 2 }, 21);
  expect(made.step({ kind: "tick" }, 1_020)).toEqual([]);
  expect(made.step({ kind: "tick" }, 10_000)).toMatchObject([
    { kind: "cancel", attempt: 2 },
    { ending: { kind: "broken", attempt: 1, failure: { kind: "reset" } } },
  ]);
});

test("a late continuation is cut for another", () => {
  const { made, fake } = speaking([0, 1, 3], { attempts: 5 });
  made.step(failed(1, "reset"), 20);
  made.step({ kind: "connected", attempt: 2 }, 21);
  expect(kinds(made.step({ kind: "tick" }, 1_020))).toEqual(["cancel 2", "continuation 3"]);
  expect(fake.spent).toEqual([]);
});

test("the end of the request's time is not gone on from", () => {
  const { made } = speaking([0, 1], { betweenTokensMs: 99_999 });
  expect(kinds(made.step({ kind: "tick" }, 10_000))).toEqual(["cancel 1", "finish broken"]);
  const other = speaking([0, 1]);
  const failure = upstreamFailure("total-timeout", "x");
  expect(kinds(other.made.step({ kind: "failed", attempt: 1, failure }, 20))).toEqual([
    "finish broken",
  ]);
});

test("a client that leaves cancels the continuation", () => {
  const { made, fake } = speaking([0, 1]);
  made.step(failed(1, "reset"), 20);
  expect(kinds(made.step({ kind: "client-gone" }, 30))).toEqual(["cancel 2", "finish client-gone"]);
  expect(fake.live).toBe(0);
});

test("a client that stopped reading before the break is not waited for afterwards either", () => {
  const { made } = speaking([0, 1]);
  made.step({ kind: "paused", attempt: 1 }, 15);
  made.step(failed(1, "reset"), 20);
  // The client reads again while nobody speaks: the news names the attempt that is over.
  made.step({ kind: "resumed", attempt: 1 }, 25);
  made.step(token(2, true), 30);
  expect(made.wakeAt()).toBe(530);
});
