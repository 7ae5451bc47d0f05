import fc from "fast-check";
import { expect, test } from "vitest";
import { answersToWork, failuresToFail, RegionPaths, regionPathsBytes } from "./region-paths.ts";

test("of a way that was never tried nothing is known, and nothing is held against it", () => {
  const paths = new RegionPaths();
  expect(paths.rttMs("us")).toBeUndefined();
  expect(paths.rttDeviationMs("us")).toBeUndefined();
  expect(paths.isFailing("us", 0)).toBe(false);
  expect(paths.queueMs("us", "m")).toBeUndefined();
  expect(paths.headroom("us", "m")).toBeUndefined();
  expect(paths.toldAgeMs("us", "m", 0)).toBe(Number.POSITIVE_INFINITY);
});

test("the round-trip time follows what is measured, smoothly, for each region by itself", () => {
  const paths = new RegionPaths();
  paths.noteRtt("us", 80, 0);
  paths.noteRtt("ap", 200, 0);
  expect([paths.rttMs("us"), paths.rttDeviationMs("us")]).toEqual([80, 40]);
  paths.noteRtt("us", 160, 1);
  expect(paths.rttMs("us")).toBe(90);
  for (let each = 0; each < 100; each++) paths.noteRtt("us", 150, each);
  expect(Math.abs((paths.rttMs("us") ?? 0) - 150)).toBeLessThan(0.1);
  expect(paths.rttDeviationMs("us")).toBeLessThan(1);
  expect(paths.rttMs("ap")).toBe(200);
});

test("a way fails after some failures in a row and works again after some answers in a row", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (outcomes) => {
      const paths = new RegionPaths();
      let isFailing = false;
      let streak = 0;
      let last: boolean | undefined;
      for (const [now, answered] of outcomes.entries()) {
        streak = answered === last ? streak + 1 : 1;
        last = answered;
        const changes = answered ? paths.noteRtt("us", 10, now) : paths.noteFailure("us", now);
        const wasFailing = isFailing;
        if (!answered && streak >= failuresToFail) isFailing = true;
        if (answered && streak >= answersToWork) isFailing = false;
        expect(paths.isFailing("us", now)).toBe(isFailing);
        expect(changes).toBe(wasFailing !== isFailing);
      }
    }),
  );
});

test("a verdict that nobody renews ends by itself", () => {
  const paths = new RegionPaths();
  for (let each = 0; each < failuresToFail; each++) paths.noteFailure("us", each);
  expect(paths.isFailing("us", 29_000)).toBe(true);
  expect(paths.isFailing("us", 31_000)).toBe(false);
});

test("a refusal on arrival is the newest word on a queue, and leaves no room", () => {
  const paths = new RegionPaths();
  paths.notePool("us", "m", { queueMs: 0, headroom: 900 }, 100);
  paths.notePool("us", "n", { queueMs: 5, headroom: undefined }, 100);
  expect([paths.queueMs("us", "m"), paths.headroom("us", "m")]).toEqual([0, 900]);
  paths.noteQueue("us", "m", 1_200, 400);
  expect([paths.queueMs("us", "m"), paths.headroom("us", "m")]).toEqual([1_200, 0]);
  expect(paths.toldAgeMs("us", "m", 1_000)).toBe(600);
  expect([paths.queueMs("us", "n"), paths.headroom("us", "n")]).toEqual([5, undefined]);
  expect(paths.queueMs("ap", "m")).toBeUndefined();
});

test("threads that share the memory know the same", () => {
  const buffer = new SharedArrayBuffer(regionPathsBytes);
  const [one, other] = [new RegionPaths(buffer), new RegionPaths(buffer)];
  one.noteRtt("us", 80, 0);
  other.noteQueue("us", "m", 70, 0);
  expect([other.rttMs("us"), one.queueMs("us", "m")]).toEqual([80, 70]);
});

test("names beyond the room are forgotten or unknown, never mixed up", () => {
  const paths = new RegionPaths();
  const regions = Array.from({ length: 70 }, (_, each) => `region-${each}`);
  for (const [each, region] of regions.entries()) paths.noteRtt(region, 10 + each, 0);
  const known = regions.filter((each) => paths.rttMs(each) !== undefined);
  expect(known).toHaveLength(64);
  for (const each of known) expect(paths.rttMs(each)).toBe(10 + regions.indexOf(each));

  const models = Array.from({ length: 100 }, (_, each) => `model-${each}`);
  for (const [each, model] of models.entries()) paths.noteQueue("region-0", model, each, each);
  const told = models.filter((each) => paths.queueMs("region-0", each) !== undefined);
  expect(told).toEqual(models.slice(-32));
  for (const each of told) expect(paths.queueMs("region-0", each)).toBe(models.indexOf(each));
});
