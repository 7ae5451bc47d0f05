import { expect, test } from "vitest";
import { FadingRate } from "./fading-rate.ts";

test("what comes each second is the rate, within a few percent", () => {
  const rate = new FadingRate();
  for (let second = 1; second <= 60; second++) rate.add(700, second * 1_000);
  expect(rate.perSecond(60_000)).toBeGreaterThan(700);
  expect(rate.perSecond(60_999)).toBeGreaterThan(650);
  expect(rate.perSecond(60_000)).toBeLessThan(750);
});

test("it makes no difference whether one proxy reports or many at odd times", () => {
  const one = new FadingRate();
  const many = new FadingRate();
  for (let second = 1; second <= 60; second++) {
    one.add(1_000, second * 1_000);
    for (let proxy = 0; proxy < 100; proxy++) many.add(10, second * 1_000 - proxy * 7);
  }
  expect(many.perSecond(60_000) / one.perSecond(60_000)).toBeCloseTo(1, 1);
});

test("ten seconds after the last one, a third of it is left", () => {
  const rate = new FadingRate();
  rate.add(1_000, 5_000);
  const before = rate.perSecond(5_000);
  expect(rate.perSecond(15_000) / before).toBeCloseTo(Math.exp(-1));
  expect(rate.perSecond(1_000_000)).toBeCloseTo(0);
});
