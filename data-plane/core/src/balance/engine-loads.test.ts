import { expect, test } from "vitest";
import { EngineLoads, engineLoadBytes } from "./engine-loads.ts";

function loads(): EngineLoads {
  return new EngineLoads(new ArrayBuffer(engineLoadBytes(4)));
}

test("nothing is known before anything was read, and nothing that was not told", () => {
  const made = loads();
  expect(made.waiting(0, 0)).toBeUndefined();
  made.note(1, { waiting: 0, running: undefined, kvUse: 0.5 }, 0);
  expect([made.waiting(1, 0), made.running(1, 0), made.kvUse(1, 0)]).toEqual([0, undefined, 0.5]);
  expect(made.waiting(2, 0)).toBeUndefined();
});

test("a reading older than five seconds is unknown, whatever it said", () => {
  const made = loads();
  made.note(1, { waiting: 9, running: 16, kvUse: 1 }, 1_000);
  expect(made.waiting(1, 5_999)).toBe(9);
  expect([made.waiting(1, 6_000), made.running(1, 6_000), made.kvUse(1, 6_000)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test("a queue is one that is known, is longer than nothing, and was seen lately", () => {
  const made = loads();
  made.note(0, { waiting: 0, running: 5, kvUse: 1 }, 0);
  made.note(1, { waiting: 1, running: 5, kvUse: 1 }, 0);
  made.note(2, { waiting: undefined, running: 5, kvUse: 1 }, 0);
  expect([0, 1, 2, 3].map((slot) => made.isQueued(slot, 4_999))).toEqual([
    false,
    true,
    false,
    false,
  ]);
  expect(made.isQueued(1, 5_000)).toBe(false);
});

test("a slot that is another target's says nothing, and its neighbour still does", () => {
  const made = loads();
  made.note(1, { waiting: 9, running: 1, kvUse: 1 }, 0);
  made.note(2, { waiting: 8, running: 1, kvUse: 1 }, 0);
  made.forget(1);
  expect([made.waiting(1, 1), made.waiting(2, 1)]).toEqual([undefined, 8]);
});
