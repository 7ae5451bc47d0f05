import { expect, test } from "vitest";
import { heldMax } from "./hold-queues.ts";
import { backend, busy, complete, policy, tickToCall, world } from "./test-world.ts";

/** A route for which no queue is too long. */
const patient = { objective: { firstTokenMs: 60_000 } };

test("while every backend works on as much as it may, requests wait; who came first goes first", () => {
  const made = world(policy(patient));
  const [one, two] = busy(made);
  const held = [made.ask(10_001), made.ask(10_002), made.ask(10_003)];
  expect(held.map((each) => each.first)).toEqual(["hold", "hold", "hold"]);
  expect(made.engine.report(10_003).pools[0]).toMatchObject({ held: 3, heldTokens: 600 });
  expect(made.wake(10_003)).toEqual([]);
  if (one !== undefined) complete(one, 10_050);
  expect(made.wake(10_050)).toEqual([expect.stringMatching(/^22: first [ab]$/), "23: "]);
  // A new one does not overtake those who wait.
  expect(made.ask(10_060).first).toBe("hold");
  if (two !== undefined) complete(two, 10_070);
  expect(made.wake(10_070).map((each) => each.slice(0, 9))).toEqual(["23: first", "24: "]);
  expect(made.engine.report(10_070).pools[0]?.held).toBe(2);
});

test("two places that become free at once are taken by the first two", () => {
  const made = world(policy(patient));
  const [one, two] = busy(made);
  for (let each = 0; each < 4; each++) made.ask(10_001);
  for (const each of [one, two]) if (each !== undefined) complete(each, 10_050);
  expect(made.wake(10_050).map((each) => each.slice(0, 8))).toEqual([
    "22: firs",
    "23: firs",
    "24: ",
  ]);
});

test("a request that waited for its time is sent all the same; its hold is a quarter of the caller's deadline at most", () => {
  const made = world(policy(patient));
  busy(made);
  const [pushedAt, call] = tickToCall(made.ask(10_001));
  expect(pushedAt).toBe(12_001);
  expect(call).toMatch(/^first [ab]$/);
  expect(tickToCall(made.ask(10_001, { timeoutMs: 1_000 }))[0]).toBe(10_251);
  expect(made.engine.report(12_001).pools[0]?.held).toBe(0);
});

test("what was sent into a queue that was known says nothing of its backend, however long it waits there", () => {
  const made = world(policy({ ...patient, timeouts: { slowMs: 500 } }));
  const counts = () =>
    made.engine.report(20_000).backends.map(({ slow, timed }) => ({ slow, timed }));
  const placed = busy(made);
  const sent = made.ask(10_001);
  tickToCall(sent);
  const before = counts();
  sent.attempts.step({ kind: "tick" }, 14_000);
  sent.attempts.step({ kind: "token", attempt: 1, continuable: false }, 15_000);
  expect(sent.attempts.records()[0]).toMatchObject({ slow: true });
  expect(counts()).toEqual(before);
  // What had a place does.
  const [one] = placed;
  one?.attempts.step({ kind: "tick" }, 15_000);
  expect(counts()).not.toEqual(before);
});

test("where the route does not let requests wait, they are sent at once", () => {
  const made = world(policy({ fallback: ["remote"], ...patient }));
  busy(made);
  expect(made.ask(10_001).first).toMatch(/^first [ab]$/);
});

test("a queue that a server tells of holds requests, one that it does not tell of does not", () => {
  const made = world(policy(patient));
  const slots = made.engine.serving()?.upstreams.filter((each) => each.kind === "backend") ?? [];
  const note = (waiting: number | undefined, now: number) => {
    const load = { waiting, running: 4, kvUse: 0.5 };
    for (const { slot } of slots) made.calls.engines.note(slot, load, now);
  };
  note(undefined, 0);
  const first = made.ask(1);
  expect(first.first).toMatch(/^first [ab]$/);
  complete(first, 2);
  note(3, 10);
  const held = made.ask(11);
  expect(held.first).toBe("hold");
  const second = made.ask(12);
  expect(second.first).toBe("hold");
  // What is told later, or not told again for 5 s, lets them go: the first by itself, and the next one after it.
  note(0, 20);
  expect(tickToCall(held)[1]).toMatch(/^first [ab]$/);
  expect(made.wake(40)).toEqual([expect.stringMatching(/^2: first/)]);
});

test("a client that leaves frees its place in the line", () => {
  const made = world(policy(patient));
  const [one] = busy(made);
  const [leaving] = [made.ask(10_001), made.ask(10_002)];
  leaving?.attempts.step({ kind: "client-gone" }, 10_010);
  expect(made.engine.report(10_010).pools[0]?.held).toBe(1);
  if (one !== undefined) complete(one, 10_020);
  expect(made.wake(10_020)).toEqual([expect.stringMatching(/^23: first/)]);
});

test("beyond its bound nobody waits", () => {
  const made = world(policy({ fallback: ["local-queue"], ...patient }));
  busy(made);
  for (let each = 0; each < heldMax; each++) expect(made.ask(10_001).first).toBe("hold");
  expect(made.ask(10_001).first).toMatch(/^first [ab]$/);
});

test("a bucket that fills in time is waited for, one that does not is left for another region", () => {
  const limited = (requestsPerMinute: number) =>
    policy(patient, {
      backends: [
        { ...backend("a", "eu", 9), capacity: { requestsPerMinute } },
        backend("us-a", "us", 64),
      ],
    });
  const soon = world(limited(60));
  for (let each = 0; each < 10; each++) soon.ask(0);
  const held = soon.ask(1);
  expect(held.first).toBe("hold");
  expect(tickToCall(held)[0]).toBeLessThan(1_100);
  const late = world(limited(6));
  late.ask(0);
  expect(late.ask(1).first).toMatch(/^first us/);
});

test("a wait that is hard to foresee sends requests away before the promise is broken", () => {
  // The line moves each half second, but calls last 100 ms or 1,900: waits are hard to foresee.
  const firsts = [1_000, [100, 1_900]].map((callMs) => {
    const made = world(policy({ objective: { firstTokenMs: 2_500 } }));
    busy(made);
    let now = 20_000;
    for (let round = 0; round < 12; round++) {
      const under = [made.ask(now), made.ask(now)];
      const waiting = made.ask(now);
      const ms = Array.isArray(callMs) ? (callMs[round % 2] ?? 0) : callMs;
      for (const each of under) complete(each, now + ms);
      made.wake(now + ms);
      waiting.attempts.step({ kind: "token", attempt: 1, continuable: false }, now + ms + 60);
      complete(waiting, now + ms + 900);
      now += 10_000;
    }
    made.ask(now);
    made.ask(now);
    const line = Array.from({ length: 6 }, () => made.ask(now).first);
    return line.findIndex((each) => each.startsWith("first us"));
  });
  const [steady = -1, uneven = -1] = firsts;
  expect(uneven).toBeGreaterThanOrEqual(0);
  expect(steady === -1 || uneven < steady).toBe(true);
});
