// Intervals against sums by hand.

import fc from "fast-check";
import { expect, test } from "vitest";
import { estimate, estimateRatio } from "./interval.ts";

test("the interval of five values is the mean with 2.776 standard errors to each side", () => {
  // Variance 2.5, standard error sqrt(0.5).
  const { mean, low, high } = estimate([1, 2, 3, 4, 5]);
  expect(mean).toBe(3);
  expect(high - mean).toBeCloseTo(2.776 * Math.sqrt(0.5), 6);
  expect(mean - low).toBeCloseTo(2.776 * Math.sqrt(0.5), 6);
});

test("one value alone has no interval", () => {
  expect(estimate([7])).toEqual({ mean: 7, low: Number.NaN, high: Number.NaN });
});

test("a ratio and its inverse say the same", () => {
  const values = fc.array(fc.double({ min: 0.1, max: 1_000, noNaN: true }), {
    minLength: 3,
    maxLength: 12,
  });
  fc.assert(
    fc.property(values, fc.double({ min: 0.1, max: 10, noNaN: true }), (above, factor) => {
      const below = above.map((each, at) => each * factor * (1 + at / 10));
      const ratio = estimateRatio(above, below);
      const inverse = estimateRatio(below, above);
      expect(ratio.mean * inverse.mean).toBeCloseTo(1, 6);
      expect(ratio.low * inverse.high).toBeCloseTo(1, 6);
      expect(ratio.low).toBeLessThanOrEqual(ratio.mean * (1 + 1e-9));
    }),
  );
});

test("pairs take out what both have in common", () => {
  // Seeds differ by a factor of 100, the two policies by 1.1 each time.
  const below = [1, 10, 100];
  const { mean, low, high } = estimateRatio(
    below.map((each) => each * 1.1),
    below,
  );
  for (const value of [mean, low, high]) expect(value).toBeCloseTo(1.1, 9);
});
