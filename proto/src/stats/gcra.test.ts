import fc from "fast-check";
import { expect, test } from "vitest";
import { giveBackUnits, rateLimit, rateWaitMs, takeUnits } from "./index.ts";

test("a full bucket gives its burst at once, and then one unit per interval", () => {
  const limit = rateLimit(60);
  let fullAt = 0;
  for (let taken = 0; taken < 10; taken++) {
    expect(rateWaitMs(fullAt, 1, limit, 5_000)).toBe(0);
    fullAt = takeUnits(fullAt, 1, limit, 5_000);
  }
  expect(rateWaitMs(fullAt, 1, limit, 5_000)).toBe(1_000);
  expect(rateWaitMs(fullAt, 1, limit, 6_000)).toBe(0);
});

test("what is larger than the burst waits for a full bucket, goes, and is owed", () => {
  const limit = rateLimit(6_000);
  expect(rateWaitMs(0, 3_000, limit, 0)).toBe(0);
  const fullAt = takeUnits(0, 3_000, limit, 0);
  expect(rateWaitMs(fullAt, 3_000, limit, 0)).toBe(30_000);
  expect(rateWaitMs(fullAt, 1, limit, 0)).toBe(20_010);
});

test("what was not used is there again, and no more than a full bucket", () => {
  const limit = rateLimit(6_000);
  const fullAt = takeUnits(0, 1_000, limit, 0);
  expect(rateWaitMs(giveBackUnits(fullAt, 400, limit, 0), 400, limit, 0)).toBe(0);
  expect(rateWaitMs(giveBackUnits(fullAt, 400, limit, 0), 401, limit, 0)).toBe(10);
  expect(rateWaitMs(giveBackUnits(0, 5_000, limit, 0), 1_000, limit, 0)).toBe(0);
});

const arrivals = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 5_000 }),
    units: fc.integer({ min: 1, max: 40 }),
  }),
  { maxLength: 200 },
);

test("no window of time sees more than its share of the limit and one burst", () => {
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 60, max: 6_000 }), (asked, perMinute) => {
      const limit = rateLimit(perMinute);
      const taken: { readonly at: number; readonly units: number }[] = [];
      let now = 0;
      let fullAt = 0;
      for (const { afterMs, units: wanted } of asked) {
        const units = Math.min(wanted, Math.floor(limit.burst));
        now += afterMs;
        if (rateWaitMs(fullAt, units, limit, now) > 0) continue;
        fullAt = takeUnits(fullAt, units, limit, now);
        taken.push({ at: now, units });
      }
      for (const [first, { at }] of taken.entries()) {
        let sum = 0;
        for (const each of taken.slice(first)) {
          sum += each.units;
          expect(sum).toBeLessThanOrEqual(
            limit.burst + ((each.at - at) * perMinute) / 60_000 + 1e-6,
          );
        }
      }
    }),
  );
});

test("after the time that it names there is room, and not sooner", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 1, max: 50_000 }),
      fc.integer({ min: 1, max: 50_000 }),
      (perMinute, first, second) => {
        const limit = rateLimit(perMinute);
        const fullAt = takeUnits(0, first, limit, 0);
        const waitMs = rateWaitMs(fullAt, second, limit, 0);
        expect(rateWaitMs(fullAt, second, limit, waitMs + 1e-3)).toBe(0);
        if (waitMs > 0.01)
          expect(rateWaitMs(fullAt, second, limit, waitMs - 0.01)).toBeGreaterThan(0);
      },
    ),
  );
});
