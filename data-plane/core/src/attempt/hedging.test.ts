import { expect, test } from "vitest";
import { failed, kinds, machine, token } from "./test-ports.ts";

/** Called at 0; a hedge is due at 200. */
function hedged(count = 3, attempts = 3) {
  const made = machine(count, { hedges: true, attempts });
  made.machine.step({ kind: "start" }, 0);
  made.machine.step({ kind: "connected", attempt: 1 }, 1);
  return made;
}

test("without the policy's word nothing is hedged", () => {
  const { machine: made } = machine(3);
  made.step({ kind: "start" }, 0);
  made.step({ kind: "connected", attempt: 1 }, 1);
  expect(made.step({ kind: "tick" }, 200)).toEqual([]);
});

test("a call that is later than its target usually is gets a second one beside it, once", () => {
  const { machine: made, fake } = hedged();
  expect(made.wakeAt()).toBe(200);
  expect(kinds(made.step({ kind: "tick" }, 200))).toEqual(["hedge 2"]);
  expect(made.records()[1]?.role).toBe("hedge");
  expect(fake.spent).toEqual(["hedge"]);
  expect(made.wakeAt()).toBe(300);
  made.step({ kind: "connected", attempt: 2 }, 201);
  expect(made.step({ kind: "tick" }, 900)).toEqual([]);
  expect(fake.liveMost).toBe(2);
});

test.each([
  [1, 2],
  [2, 1],
])(
  "the first token of attempt %d commits it and cancels %d, which counts for nothing",
  (winner, loser) => {
    const { machine: made, fake } = hedged();
    made.step({ kind: "tick" }, 200);
    expect(kinds(made.step(token(winner), 350))).toEqual([`commit ${winner}`, `cancel ${loser}`]);
    expect(fake.ends).toMatchObject([{ outcome: "cancelled", failure: undefined }]);
    expect(made.step(token(loser), 360)).toEqual([]);
    expect(kinds(made.step({ kind: "complete", attempt: winner }, 400))).toEqual([
      "finish complete",
    ]);
  },
);

test("a whole answer of either ends the other", () => {
  const { machine: made } = hedged();
  made.step({ kind: "tick" }, 200);
  expect(kinds(made.step({ kind: "complete", attempt: 2 }, 300))).toEqual([
    "commit 2",
    "cancel 1",
    "finish complete",
  ]);
});

test("a loser's wait is told as it stands, or slow targets would look quicker than they are", () => {
  const { machine: made, fake } = hedged();
  made.step({ kind: "tick" }, 200);
  made.step(token(2), 350);
  expect(fake.waits).toEqual([
    [1, 150],
    [0, 350],
  ]);
});

test.each([1, 2])(
  "a failure of attempt %d ends that one alone; when both failed a retry follows",
  (first) => {
    const { machine: made } = hedged();
    made.step({ kind: "tick" }, 200);
    expect(made.step(failed(first, "reset"), 250)).toEqual([]);
    expect(kinds(made.step(failed(3 - first, "reset"), 260))).toEqual(["call 3"]);
  },
);

test("a request's fault that either tells is final", () => {
  const { machine: made } = hedged();
  made.step({ kind: "tick" }, 200);
  expect(kinds(made.step({ kind: "rejected", attempt: 2 }, 250))).toEqual([
    "cancel 1",
    "finish rejected",
  ]);
});

test("a client that leaves cancels both", () => {
  const { machine: made } = hedged();
  made.step({ kind: "tick" }, 200);
  expect(kinds(made.step({ kind: "client-gone" }, 250))).toEqual([
    "cancel 1",
    "cancel 2",
    "finish client-gone",
  ]);
});

test("the end of time cancels both", () => {
  const { machine: made } = hedged(2);
  made.step({ kind: "tick" }, 200);
  expect(kinds(made.step({ kind: "tick" }, 10_000))).toEqual([
    "cancel 1",
    "cancel 2",
    "finish refused",
  ]);
});

test("no hedge without budget, without a candidate, or without an attempt left", () => {
  const poor = hedged();
  poor.fake.purse.hedge = 0;
  expect(poor.machine.step({ kind: "tick" }, 200)).toEqual([]);
  expect(hedged(1).machine.step({ kind: "tick" }, 200)).toEqual([]);
  expect(hedged(3, 1).machine.step({ kind: "tick" }, 200)).toEqual([]);
});

test("a target that is not known well enough is not hedged", () => {
  const { machine: made, fake } = machine(2, { hedges: true });
  fake.hedgeMs = Number.POSITIVE_INFINITY;
  made.step({ kind: "start" }, 0);
  made.step({ kind: "connected", attempt: 1 }, 1);
  expect(made.wakeAt()).toBe(1_000);
});

test("a dead call beside a live hedge makes room for a third candidate, never for nobody", () => {
  const { machine: made, fake } = hedged(3);
  made.step({ kind: "tick" }, 200);
  made.step({ kind: "connected", attempt: 2 }, 201);
  expect(kinds(made.step({ kind: "tick" }, 1_000))).toEqual(["cancel 1", "call 3"]);
  made.step({ kind: "connected", attempt: 3 }, 1_001);
  expect(made.step({ kind: "tick" }, 1_200)).toEqual([]);
  expect(fake.live).toBe(2);
  expect(kinds(made.step(token(2), 1_300))).toEqual(["commit 2", "cancel 3"]);
});
