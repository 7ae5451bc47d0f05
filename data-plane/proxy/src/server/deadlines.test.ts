import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Deadlines, type Sleeper, sweepMs } from "./deadlines.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

let now = 0;
function pass(ms: number): void {
  for (let passed = 0; passed < ms; passed += sweepMs) {
    now += sweepMs;
    vi.advanceTimersByTime(sweepMs);
  }
}

function sleeper(deadlines: Deadlines, at: number): { readonly woken: number[] } & Sleeper {
  const made = {
    sleepsAt: -1,
    woken: [] as number[],
    wakeAt: () => at,
    wake: (when: number) => wake(when),
  };
  const wake = (when: number): void => {
    made.woken.push(when);
    deadlines.unwatch(made);
  };
  deadlines.watch(made);
  return made;
}

test("each sleeper is woken once its time has come, at most a sweep late", () => {
  now = 0;
  const deadlines = new Deadlines({ now: () => now, wall: () => 0 });
  const [early, late] = [sleeper(deadlines, 50), sleeper(deadlines, 200)];
  pass(100);
  expect(early.woken).toEqual([60]);
  expect(late.woken).toEqual([]);
  pass(200);
  expect(late.woken).toEqual([200]);
});

test("with nobody to wake the timer ends, and starts again with the next sleeper", () => {
  now = 0;
  const deadlines = new Deadlines({ now: () => now, wall: () => 0 });
  deadlines.unwatch(sleeper(deadlines, 50));
  expect(vi.getTimerCount()).toBe(1);
  pass(2 * sweepMs);
  expect(vi.getTimerCount()).toBe(0);
  expect(sleeper(deadlines, 0).woken).toEqual([]);
  pass(sweepMs);
  deadlines.close();
  expect(vi.getTimerCount()).toBe(0);
});

test("after the process stood still nobody is judged before another sweep", () => {
  now = 0;
  const deadlines = new Deadlines({ now: () => now, wall: () => 0 });
  const one = sleeper(deadlines, 50);
  now = 5_000;
  vi.advanceTimersByTime(sweepMs);
  expect(one.woken).toEqual([]);
  pass(sweepMs);
  expect(one.woken).toEqual([5_020]);
});

test("sleepers that leave, stay or come while others are woken are each woken once, at their time", () => {
  now = 0;
  const deadlines = new Deadlines({ now: () => now, wall: () => 0 });
  const many = Array.from({ length: 50 }, (_, each) =>
    sleeper(deadlines, each % 5 === 0 ? 500 : 40),
  );
  for (const gone of many.slice(10, 20)) deadlines.unwatch(gone);
  pass(200);
  const counts = many.map((each) => each.woken.length);
  expect(counts).toEqual(
    many.map((_, each) => (each % 5 === 0 || (each >= 10 && each < 20) ? 0 : 1)),
  );
  pass(400);
  expect(many.filter((each) => each.woken.length === 1)).toHaveLength(40);
});

test("a process that is late each time still has deadlines", () => {
  now = 0;
  const deadlines = new Deadlines({ now: () => now, wall: () => 0 });
  const waiting = sleeper(deadlines, 50);
  const lateSweep = () => {
    now += 500;
    vi.advanceTimersByTime(sweepMs);
  };
  lateSweep();
  expect(waiting.woken).toEqual([]);
  lateSweep();
  expect(waiting.woken).toEqual([1_000]);
});
