import { expect, test } from "vitest";
import { Demand, demandBufferBytes } from "./demand.ts";

function two(): readonly [Demand, Demand] {
  const buffer = new SharedArrayBuffer(demandBufferBytes(4, 2));
  return [new Demand(buffer, { count: 2, own: 0 }), new Demand(buffer, { count: 2, own: 1 })];
}

test("threads' counts are one sum, and each slot's are its own", () => {
  const [a, b] = two();
  a.arrived(0, 100);
  b.arrived(0, 300);
  b.ended(0, { expected: 300, used: 0, away: true });
  b.arrived(3, 7);
  b.worked(1, 640);
  for (const each of [a, b]) {
    expect(each.read(0)).toEqual({ requests: 2, tokens: 400, sentAway: 1 });
    expect(each.read(3)).toEqual({ requests: 1, tokens: 7, sentAway: 0 });
    expect(each.doneTokens(1)).toBe(640);
    expect(each.doneTokens(0)).toBe(0);
  }
});

test("where clients use a fifth of their limits, a fifth is counted, on every thread", () => {
  const [a, b] = two();
  for (let request = 0; request < 5_000; request++) {
    a.arrived(0, 5_000);
    a.ended(0, { expected: 5_000, used: 1_000, away: false });
  }
  const before = b.read(0).tokens;
  b.arrived(0, 5_000);
  expect(b.read(0).tokens - before).toBeCloseTo(1_000, -2);
});

test("what was usual fades when requests become longer", () => {
  const demand = new Demand();
  const run = (used: number) => {
    for (let request = 0; request < 5_000; request++) {
      demand.ended(0, { expected: 1_000, used, away: false });
    }
    const before = demand.read(0).tokens;
    demand.arrived(0, 1_000);
    return demand.read(0).tokens - before;
  };
  expect(run(200)).toBeLessThan(250);
  expect(run(900)).toBeGreaterThan(850);
});

test("requests that used nothing do not make the next ones look small", () => {
  const demand = new Demand();
  for (let request = 0; request < 5_000; request++) {
    demand.ended(0, { expected: 1_000, used: 0, away: false });
  }
  demand.arrived(0, 1_000);
  expect(demand.read(0).tokens).toBe(1_000);
});

test("a new owner of a slot begins at nothing, when all threads have heard of it", () => {
  const [a, b] = two();
  for (const each of [a, b]) {
    each.arrived(2, 10);
    each.worked(2, 10);
    each.arrived(1, 10);
  }
  a.forget(2);
  expect(a.read(2).requests).toBe(1);
  b.forget(2);
  expect(a.read(2)).toEqual({ requests: 0, tokens: 0, sentAway: 0 });
  expect(a.doneTokens(2)).toBe(0);
  expect(a.read(1).requests).toBe(2);
});
