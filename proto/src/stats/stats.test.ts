import fc from "fast-check";
import { expect, test } from "vitest";
import {
  badEventsToAlarm,
  type CusumTest,
  goodEventsToAccept,
  goodEventsToCalm,
  meanEventsToAlarm,
  sprtLimits,
  sprtOutcome,
  sprtVerdict,
  stepCusum,
  stepSprt,
  tickGainMax,
  wilsonInterval,
} from "./index.ts";

const dFail: CusumTest = { p0: 0.01, p1: 0.1, h: 13.8 };
const dSlow: CusumTest = { p0: 0.05, p1: 0.25, h: 13.8 };
const dWrong: CusumTest = { p0: 0.002, p1: 0.05, h: 9.2 };
const uPassive: CusumTest = { p0: 0.1, p1: 0.5, h: 9.2 };
const uProbe: CusumTest = { p0: 0.1, p1: 0.6, h: 8 };

// Each mean was also met by running the test with random events, within 2 % (`npm run bench:health` does it again).
test.each<[string, CusumTest, number, number]>([
  ["D-fail at 1 %", dFail, 0.01, 3.08e7],
  ["D-fail at 2 %", dFail, 0.02, 1.02e5],
  ["D-fail at 10 %", dFail, 0.1, 95.2],
  ["D-fail at 20 %", dFail, 0.2, 37.4],
  ["D-fail at 50 %", dFail, 0.5, 13.9],
  ["D-slow at 5 %", dSlow, 0.05, 1.35e7],
  ["D-slow at 8 %", dSlow, 0.08, 4.91e4],
  ["D-slow at 25 %", dSlow, 0.25, 60.3],
  ["D-wrong at 0.2 %", dWrong, 0.002, 6.74e5],
  ["D-wrong at 5 %", dWrong, 0.05, 84.3],
  ["U-fail passive at 1 %", uPassive, 0.01, 5.46e11],
  ["U-fail passive at 5 %", uPassive, 0.05, 9.99e6],
  ["U-fail passive at 50 %", uPassive, 0.5, 18],
  ["U-fail probe at 1 %", uProbe, 0.01, 1.92e9],
  ["U-fail probe at 2 %", uProbe, 0.02, 5.78e7],
  ["U-fail probe at 60 %", uProbe, 0.6, 10.7],
])("%s alarms after so many events in the mean", (_, given, p, expected) => {
  expect(meanEventsToAlarm(given, p) / expected).toBeCloseTo(1, 2);
});

test("when every event is bad it takes the least that h allows", () => {
  for (const each of [dFail, dSlow, dWrong, uPassive, uProbe]) {
    expect(meanEventsToAlarm(each, 1)).toBe(badEventsToAlarm(0, each));
  }
});

test("the exact mean is what running the test gives", () => {
  const quick: CusumTest = { p0: 0.1, p1: 0.5, h: 3 };
  let seed = 7;
  const next = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  let events = 0;
  const runs = 4_000;
  for (let run = 0; run < runs; run++) {
    for (let sum = 0; sum < quick.h; events++) {
      sum = stepCusum(sum, { n: 1, bad: next() < 0.2 ? 1 : 0 }, quick);
    }
  }
  expect(events / runs / meanEventsToAlarm(quick, 0.2)).toBeCloseTo(1, 1);
});

const counts = fc
  .tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 0, max: 500 }))
  .map(([a, b]) => ({ n: Math.max(a, b), bad: Math.min(a, b) }));

test("the sum is never below 0, and no tick adds more than its most", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 50, noNaN: true }), counts, (sum, given) => {
      const after = stepCusum(sum, given, dFail);
      expect(after).toBeGreaterThanOrEqual(0);
      expect(after - sum).toBeLessThanOrEqual(tickGainMax + 1e-9);
    }),
  );
});

test("one more bad event never lowers the sum", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 50, noNaN: true }), counts, (sum, given) => {
      const worse = { n: given.n, bad: Math.min(given.n, given.bad + 1) };
      const before = stepCusum(sum, given, dSlow);
      expect(stepCusum(sum, worse, dSlow)).toBeGreaterThanOrEqual(before);
    }),
  );
});

test("what is said to lack to an alarm is what it takes", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 13.7, noNaN: true }), (start) => {
      const lacks = badEventsToAlarm(start, dFail);
      let sum = start;
      for (let each = 0; each < lacks; each++) {
        expect(sum).toBeLessThan(dFail.h);
        sum = stepCusum(sum, { n: 1, bad: 1 }, dFail);
      }
      expect(sum).toBeGreaterThanOrEqual(dFail.h - 1e-6);
      const calm = stepCusum(start, { n: goodEventsToCalm(start, dFail), bad: 0 }, dFail);
      expect(calm).toBeLessThan(1e-6);
    }),
  );
});

const limits = sprtLimits({ good: 0.02, bad: 0.2, badTakenForGood: 0.001, goodTakenForBad: 0.05 });

test("the test for the return has the stated arithmetic and errors", () => {
  expect(limits.accept).toBeCloseTo(6.86, 2);
  expect(limits.reject).toBeCloseTo(-2.99, 1);
  expect(limits.onGood).toBeCloseTo(0.203, 3);
  expect(limits.onBad).toBeCloseTo(-Math.LN10, 3);
  expect(goodEventsToAccept(0, limits)).toBe(34);
  expect(sprtOutcome(limits, 0.02).meanEvents / 44).toBeCloseTo(1, 1);
  expect(sprtOutcome(limits, 0.1).accepted).toBeCloseTo(0.16, 2);
  expect(sprtOutcome(limits, 0.2).accepted).toBeCloseTo(0.00094, 5);
});

test("good events alone are accepted when they said so, bad ones alone rejected at once or twice", () => {
  let sum = 0;
  for (let each = 0; each < 33; each++) sum = stepSprt(sum, false, limits);
  expect(sprtVerdict(sum, limits)).toBe("undecided");
  expect(sprtVerdict(stepSprt(sum, false, limits), limits)).toBe("good");
  const once = stepSprt(0, true, limits);
  expect(sprtVerdict(once, limits)).toBe("undecided");
  expect(sprtVerdict(stepSprt(once, true, limits), limits)).toBe("bad");
});

test("an interval holds the seen rate and narrows with events", () => {
  expect(wilsonInterval({ n: 0, bad: 0 })).toEqual({ low: 0, high: 1 });
  expect(wilsonInterval({ n: 40, bad: 2 }).high).toBeCloseTo(0.165, 3);
  fc.assert(
    fc.property(counts, ({ n, bad }) => {
      fc.pre(n > 0);
      const { low, high } = wilsonInterval({ n, bad });
      expect(low).toBeLessThanOrEqual(bad / n + 1e-9);
      expect(high).toBeGreaterThanOrEqual(bad / n - 1e-9);
      const more = wilsonInterval({ n: n * 4, bad: bad * 4 });
      expect(more.high - more.low).toBeLessThanOrEqual(high - low + 1e-9);
    }),
  );
});
