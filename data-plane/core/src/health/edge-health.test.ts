import { meanEventsToAlarm } from "@meridian/proto/stats";
import fc from "fast-check";
import { expect, test } from "vitest";
import { calmEdge, type EdgeHealth, edgeTest, edgeTrouble, stepEdge } from "./edge-health.ts";

type Second = readonly [answered: number, failed: number];

function run(seconds: readonly Second[], start = calmEdge, from = 0): EdgeHealth {
  return seconds.reduce(
    (edge, [answered, failed], at) => stepEdge(edge, { answered, failed }, (from + at + 1) * 1_000),
    start,
  );
}

const few = (count: number, second: Second): readonly Second[] => Array(count).fill(second);
const isTroubled = (edge: EdgeHealth, second: number) =>
  edgeTrouble(edge, second * 1_000) !== undefined;

test("it is wrong as seldom as it promises, and notices within a score of requests", () => {
  expect(meanEventsToAlarm(edgeTest, 0.01)).toBeGreaterThan(4.3e10);
  expect(meanEventsToAlarm(edgeTest, 0.05)).toBeGreaterThan(1.8e6);
  expect(meanEventsToAlarm(edgeTest, 0.5)).toBeLessThan(20);
  expect(meanEventsToAlarm(edgeTest, 1)).toBe(6);
});

test("an edge that fails half of its clients is left within seconds, never within one", () => {
  expect(isTroubled(run([[0, 500]]), 1)).toBe(false);
  expect(edgeTrouble(run(few(3, [5, 5])), 3_000)).toBe("15 of 30 requests of clients failed here");
});

test("one client in twenty that fails is borne", () => {
  expect(isTroubled(run(few(600, [19, 1])), 600)).toBe(false);
});

test("it comes back 60 s after the last alarm, and sooner goes again than the first time", () => {
  const failed = run(few(3, [0, 10]));
  expect(isTroubled(failed, 62)).toBe(true);
  const quiet = run(few(60, [0, 0]), failed, 3);
  expect(isTroubled(quiet, 63)).toBe(false);
  expect(isTroubled(stepEdge(quiet, { answered: 0, failed: 1 }, 64_000), 64)).toBe(true);
  const proved = run(few(2, [10, 0]), quiet, 63);
  expect(proved).toMatchObject({ sum: 0, n: 0, failed: 0 });
  expect(isTroubled(stepEdge(proved, { answered: 0, failed: 1 }, 66_000), 66)).toBe(false);
});

test("stragglers that go on failing keep it away", () => {
  const edge = run(few(300, [1, 1]));
  expect(isTroubled(edge, 300)).toBe(true);
});

test("more failures never bring an edge back", () => {
  const second = fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 20 }));
  fc.assert(
    fc.property(fc.array(second, { maxLength: 40 }), second, fc.nat(10), (before, last, more) => {
      const start = run(before);
      const at = before.length + 1;
      const [answered, failed] = last;
      const plain = stepEdge(start, { answered, failed }, at * 1_000);
      const worse = stepEdge(start, { answered, failed: failed + more }, at * 1_000);
      expect(worse.sum).toBeGreaterThanOrEqual(plain.sum);
      if (isTroubled(plain, at)) expect(isTroubled(worse, at)).toBe(true);
    }),
  );
});

test("without requests nothing changes but time", () => {
  const edge = run(few(2, [3, 3]));
  expect(stepEdge(edge, { answered: 0, failed: 0 }, 1e9)).toBe(edge);
});
