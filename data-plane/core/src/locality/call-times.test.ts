import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { CallTimes } from "./call-times.ts";

test("of a target that nobody called nothing is known", () => {
  const times = new CallTimes();
  expect(times.callMs(3)).toBeUndefined();
  expect(times.tokensPerCall(3)).toBeUndefined();
  expect(times.errorMs(3, 1_000, 0)).toBe(500);
  expect(times.errorMs(3, 20, 0)).toBe(50);
});

test("a usual call is the mean of the first ones, and follows a change", () => {
  const times = new CallTimes();
  times.ended(0, 1_000, 100);
  times.ended(0, 3_000, 300);
  expect(times.callMs(0)).toBe(2_000);
  expect(times.tokensPerCall(0)).toBe(200);
  for (let call = 0; call < 100; call++) times.ended(0, 500, 100);
  expect(times.callMs(0)).toBeCloseTo(500, -1);
  expect(times.callMs(1)).toBeUndefined();
});

test("the doubt is two sigma of the target's own errors", () => {
  const times = new CallTimes();
  const random = seededRandom("errors");
  // Sum of twelve: about normal, sigma 1.
  const normal = () => Array.from({ length: 12 }, () => random.next()).reduce((a, b) => a + b) - 6;
  let sum = 0;
  for (let call = 0; call < 2_000; call++) {
    times.missed(0, 100 * normal(), 0);
    if (call >= 1_000) sum += times.errorMs(0, 400, 0) / 1_000;
  }
  expect(sum).toBeGreaterThan(180);
  expect(sum).toBeLessThan(215);
});

test("one answer that came far too late does not close a target, many do", () => {
  const times = new CallTimes();
  for (let call = 0; call < 50; call++) times.missed(0, call % 2 === 0 ? 20 : -20, 0);
  times.missed(0, 30_000, 0);
  expect(times.errorMs(0, 400, 0)).toBeLessThan(60);
  for (let call = 0; call < 60; call++) times.missed(0, 30_000, 0);
  expect(times.errorMs(0, 400, 0)).toBeGreaterThan(20_000);
});

test("a slot's next owner begins anew, and slots beyond the first size have room", () => {
  const times = new CallTimes(2);
  times.ended(900, 1_000, 10);
  for (let call = 0; call < 9; call++) times.missed(900, 10, 0);
  expect(times.callMs(900)).toBe(1_000);
  expect(times.errorMs(900, 1_000, 0)).toBeCloseTo(20 * Math.SQRT2);
  times.forget(900);
  times.forget(100_000);
  expect(times.callMs(900)).toBeUndefined();
  expect(times.errorMs(900, 1_000, 0)).toBe(500);
});

test("a doubt that nothing confirms fades, so that who is doubted is tried again", () => {
  const times = new CallTimes();
  for (let call = 0; call < 50; call++) times.missed(0, 4_000, 1_000);
  const doubt = times.errorMs(0, 400, 1_000);
  expect(doubt).toBeGreaterThan(8_000);
  expect(times.errorMs(0, 400, 61_000)).toBeCloseTo((doubt + 200) / 2);
  expect(times.errorMs(0, 400, 721_000)).toBeLessThan(210);
});

test("a target counts as tried for some seconds after a call went there", () => {
  const times = new CallTimes();
  expect(times.isTried(0, 10_000)).toBe(false);
  times.started(0, 10_000);
  expect([times.isTried(0, 14_999), times.isTried(0, 15_000)]).toEqual([true, false]);
  times.forget(0);
  expect(times.isTried(0, 10_001)).toBe(false);
});
