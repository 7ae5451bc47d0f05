import fc from "fast-check";
import { expect, test } from "vitest";
import { type DampStep, damp, dampLimits, type Shares } from "./damping.ts";

const second = { isHomeDown: false, closed: new Set<string>(), elapsedMs: 1_000 };

function shares(given: { readonly [region: string]: number }): Shares {
  return new Map(Object.entries(given));
}

function run(from: Shares, step: DampStep, times: number): Shares {
  let now: Shares = from;
  for (let time = 0; time < times; time++) now = damp(now, step);
  return now;
}

function total(all: Shares): number {
  return [...all.values()].reduce((sum, each) => sum + each, 0);
}

test("a fifth of the demand goes away in a second, no more", () => {
  const aim = shares({ us: 0.5 });
  const from = shares({ us: 0 });
  expect(damp(from, { ...second, aim }).get("us")).toBeCloseTo(0.2);
  expect(run(from, { ...second, aim }, 2).get("us")).toBeCloseTo(0.4);
  expect(run(from, { ...second, aim }, 3)).toEqual(aim);
});

test("5 % come back in ten seconds, no more", () => {
  const step = { ...second, aim: shares({ us: 0 }) };
  expect(run(shares({ us: 0.5 }), step, 10).get("us")).toBeCloseTo(0.45);
  expect(run(shares({ us: 0.5 }), step, 101).get("us")).toBe(0);
});

test("a region that serves nobody sends everything away at once", () => {
  const aim = shares({ us: 0.7, ap: 0.3 });
  expect(damp(shares({ us: 0 }), { ...second, aim, isHomeDown: true })).toEqual(aim);
});

test("nothing more goes at once to a region that takes nobody", () => {
  const step = { ...second, aim: shares({ us: 0, ap: 0.5 }), closed: new Set(["us"]) };
  const next = damp(shares({ us: 0.5 }), step);
  expect(next.get("us")).toBe(0);
  expect(next.get("ap")).toBeCloseTo(0.2);
});

test("while demand comes back, no region gets what another one loses beyond its aim", () => {
  const step = { ...second, aim: shares({ us: 0, ap: 0.01 }) };
  const next = damp(shares({ us: 0.5, ap: 0 }), step);
  expect(next.get("ap")).toBeCloseTo(0.01);
  expect(total(next)).toBeCloseTo(0.495);
});

test("a row that begins is its aim, and one whose regions left the policy fades", () => {
  const aim = shares({ us: 0.6 });
  expect(damp(undefined, { ...second, aim })).toEqual(aim);
  expect(run(shares({ gone: 0.1 }), { ...second, aim: shares({}) }, 21)).toEqual(new Map());
});

const names = ["a", "b", "c"] as const;
const row: fc.Arbitrary<Shares> = fc
  .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 })
  .map((parts) => {
    const sum = Math.max(
      1,
      parts.reduce((all, each) => all + each, 0),
    );
    return new Map(names.map((name, at) => [name, (parts[at] ?? 0) / sum]));
  });
const walk = fc.array(fc.record({ aim: row, elapsedMs: fc.integer({ min: 0, max: 3_000 }) }), {
  minLength: 1,
  maxLength: 30,
});

test("whatever the aims, a step keeps within its bounds and no share passes its aim", () => {
  fc.assert(
    fc.property(row, walk, (start, steps) => {
      let now = start;
      for (const { aim, elapsedMs } of steps) {
        const next = damp(now, { ...second, aim, elapsedMs });
        const seconds = elapsedMs / 1_000;
        const moved = total(next) - total(now);
        expect(moved).toBeLessThanOrEqual(dampLimits.awayPerSecond * seconds + 1e-9);
        expect(moved).toBeGreaterThanOrEqual(-dampLimits.backPerSecond * seconds - 1e-9);
        expect(total(next)).toBeLessThanOrEqual(1 + 1e-9);
        for (const name of names) {
          const [before, after, goal] = [now, next, aim].map((each) => each.get(name) ?? 0);
          const low = Math.min(before ?? 0, goal ?? 0) - 1e-9;
          const high = Math.max(before ?? 0, goal ?? 0) + 1e-9;
          expect(after).toBeGreaterThanOrEqual(low);
          expect(after).toBeLessThanOrEqual(high);
          expect((after ?? 0) - (before ?? 0)).toBeLessThanOrEqual(
            dampLimits.awayPerSecond * seconds + 1e-9,
          );
        }
        now = next;
      }
    }),
  );
});

test("an aim that stays is reached, within the time that its way back takes", () => {
  fc.assert(
    fc.property(row, row, (start, aim) => {
      const end = run(start, { ...second, aim }, 260);
      for (const name of names) expect(end.get(name) ?? 0).toBeCloseTo(aim.get(name) ?? 0, 3);
    }),
  );
});
