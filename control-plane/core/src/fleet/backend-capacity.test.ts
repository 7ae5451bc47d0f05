import { expect, test } from "vitest";
import { BackendCapacity, type Work } from "./backend-capacity.ts";

const second: Work = { tokens: 1_000, timed: 2, slow: 0, isBusy: true, isFull: false };

/** Follows one backend second by second; `run` returns the estimate at its end. */
function follow() {
  const capacity = new BackendCapacity();
  let now = 0;
  return {
    run: (seconds: number, more: Partial<Work> = {}) => {
      for (let each = 0; each < seconds; each++) {
        now += 1_000;
        capacity.note({ ...second, ...more }, now);
      }
      return capacity.tokensPerSecond(now);
    },
  };
}

test("what was never full and never late is not known, whatever it did", () => {
  expect(follow().run(600)).toBeUndefined();
  expect(follow().run(600, { tokens: 1_000_000 })).toBeUndefined();
});

test("full and in time: the rate that it did is what it can do", () => {
  expect(follow().run(62, { isFull: true })).toBe(1_000);
});

test("late: the largest rate at which it was in time counts, and of a late one the part in time", () => {
  const { run } = follow();
  run(62, { tokens: 700 });
  run(62, { tokens: 900 });
  expect(run(62, { tokens: 1_100, slow: 1 })).toBe(900);
  expect(run(62, { tokens: 2_000, slow: 1 })).toBe(1_000);
});

test("a little late all the time is not what its quiet times were", () => {
  const { run } = follow();
  run(31, { tokens: 100 });
  const late = run(300, { timed: 10, slow: 1 });
  expect(late).toBeCloseTo(900, -1);
});

test("one late wait in twenty is in time, two are not", () => {
  const { run } = follow();
  run(1, { slow: 1 });
  run(9);
  run(1, { slow: 1 });
  expect(run(51)).toBeUndefined();
  run(4, { slow: 1 });
  expect(run(58)).toBe(1_000);
});

test("a window with few waits that could be judged says nothing", () => {
  expect(follow().run(120, { timed: 0, isFull: true })).toBeUndefined();
  expect(follow().run(120, { timed: 0, slow: 0, isFull: false })).toBeUndefined();
});

test("an idle backend's windows don't count, also if what it did ended there", () => {
  const { run } = follow();
  for (let each = 0; each < 60; each++) {
    run(10, { timed: 10 });
    expect(run(20, { tokens: 0, timed: 0, isBusy: false })).toBeUndefined();
  }
});

test("ten minutes after it was last at its limit it is unknown again", () => {
  const { run } = follow();
  run(62, { isFull: true, tokens: 1_500 });
  expect(run(500)).toBe(1_500);
  expect(run(150)).toBeUndefined();
});

test("late all the time: what was known before stands", () => {
  const { run } = follow();
  run(62, { tokens: 800 });
  expect(run(1_800, { tokens: 1_500, slow: 2 })).toBe(800);
  expect(follow().run(1_800, { tokens: 1_500, slow: 2 })).toBeUndefined();
});

test("two proxies' reports of one second are one second", () => {
  const capacity = new BackendCapacity();
  for (let at = 1; at <= 62; at++) {
    for (const offset of [0, 300]) {
      capacity.note({ ...second, tokens: 500, isFull: true }, at * 1_000 + offset);
    }
  }
  expect(capacity.tokensPerSecond(62_500)).toBe(1_000);
  const once = new BackendCapacity();
  for (let at = 1; at <= 62; at++) {
    const isFull = at % 30 < 8;
    for (const offset of [0, 100, 200]) once.note({ ...second, isFull }, at * 1_000 + offset);
  }
  expect(once.tokensPerSecond(62_500)).toBeUndefined();
});
