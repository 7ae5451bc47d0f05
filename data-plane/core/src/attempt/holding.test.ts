import { expect, test } from "vitest";
import { failed, kinds, machine, token } from "./test-ports.ts";

function full(count: number, given: Parameters<typeof machine>[1] = {}) {
  const made = machine(count, { holdMs: 2_000, ...given });
  made.fake.isFull = true;
  return made;
}

test("a request waits while nobody has room, and is called for as soon as there is some", () => {
  const { machine: attempts, fake } = full(1);
  expect(kinds(attempts.step({ kind: "start" }, 0))).toEqual(["hold"]);
  expect(attempts.step({ kind: "room" }, 10)).toEqual([]);
  fake.isFull = false;
  expect(kinds(attempts.step({ kind: "room" }, 70))).toEqual(["call 1"]);
  expect(attempts.heldMs(500)).toBe(70);
  expect(fake.waiting).toBe(0);
});

test("it asks again by itself at the time that it was told", () => {
  const { machine: attempts, fake } = full(1);
  attempts.step({ kind: "start" }, 0);
  expect(attempts.wakeAt()).toBe(25);
  expect(attempts.step({ kind: "tick" }, 25)).toEqual([]);
  fake.isFull = false;
  expect(attempts.wakeAt()).toBe(50);
  expect(kinds(attempts.step({ kind: "tick" }, 50))).toEqual(["call 1"]);
});

test("at the end of its time it is sent all the same", () => {
  const { machine: attempts } = full(1, { holdMs: 60 });
  attempts.step({ kind: "start" }, 0);
  expect(attempts.step({ kind: "tick" }, 25)).toEqual([]);
  expect(attempts.step({ kind: "tick" }, 50)).toEqual([]);
  expect(attempts.wakeAt()).toBe(60);
  expect(kinds(attempts.step({ kind: "tick" }, 60))).toEqual(["call 1"]);
});

test("a client that leaves ends the wait at once", () => {
  const { machine: attempts, fake } = full(1);
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step({ kind: "client-gone" }, 30))).toEqual(["finish client-gone"]);
  expect(fake.waiting).toBe(0);
  expect(attempts.heldMs(99)).toBe(30);
});

test("the request's whole time counts while it waits", () => {
  const { machine: attempts, fake } = full(1, { holdMs: 5_000, totalMs: 300 });
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step({ kind: "tick" }, 300))).toEqual(["finish refused"]);
  expect(fake.waiting).toBe(0);
});

test("so does its time to the first token", () => {
  const { machine: attempts, fake } = full(2);
  attempts.step({ kind: "start" }, 0);
  fake.isFull = false;
  attempts.step({ kind: "room" }, 400);
  attempts.step({ kind: "connected", attempt: 1 }, 401);
  expect(attempts.wakeAt()).toBe(1_000);
  expect(kinds(attempts.step({ kind: "tick" }, 1_000))).toEqual(["cancel 1", "call 2"]);
});

test("after a failure it may wait again, for what is left of its time", () => {
  const { machine: attempts, fake } = full(2, { holdMs: 100 });
  attempts.step({ kind: "start" }, 0);
  fake.isFull = false;
  attempts.step({ kind: "room" }, 70);
  fake.isFull = true;
  expect(kinds(attempts.step(failed(1), 80))).toEqual(["hold"]);
  expect(attempts.wakeAt()).toBe(105);
  attempts.step({ kind: "tick" }, 105);
  expect(attempts.wakeAt()).toBe(110);
  expect(kinds(attempts.step({ kind: "tick" }, 110))).toEqual(["call 2"]);
  expect(attempts.heldMs(999)).toBe(100);
});

test("nobody is held beside a call that lives, nor once the client has a part of an answer", () => {
  const { machine: attempts, fake } = machine(3, { holdMs: 2_000, continues: true, hedges: true });
  attempts.step({ kind: "start" }, 0);
  attempts.step({ kind: "connected", attempt: 1 }, 1);
  fake.isFull = true;
  expect(kinds(attempts.step({ kind: "tick" }, 200))).toEqual(["hedge 2"]);
  attempts.step(token(2, true), 300);
  expect(kinds(attempts.step(failed(2, "reset"), 310))).toEqual(["finish broken"]);
  const { machine: others, fake: world } = machine(4, { holdMs: 2_000, continues: true });
  others.step({ kind: "start" }, 0);
  others.step(token(1, true), 10);
  world.isFull = true;
  expect(kinds(others.step(failed(1, "reset"), 20))).toEqual(["continuation 2"]);
});

test("room is no news to a request that does not wait", () => {
  const { machine: attempts } = machine(2);
  attempts.step({ kind: "start" }, 0);
  expect(attempts.step({ kind: "room" }, 10)).toEqual([]);
  expect(attempts.records()).toHaveLength(1);
});
