// The search for the largest load, and how replicas are given out.

import fc from "fast-check";
import { expect, test } from "vitest";
import { spread } from "./replicas.ts";
import { largestLoad } from "./search.ts";

test("where the objective is crossed is found within a percent, from any guess, in few runs", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1, max: 500, noNaN: true }),
      fc.double({ min: 0.5, max: 2, noNaN: true }),
      (limit, error) => {
        let runs = 0;
        const found = largestLoad(
          (load) => {
            runs += 1;
            return 2_000 * (load / limit) ** 6;
          },
          { guess: limit * error, objective: 2_000 },
        );
        expect(found / limit).toBeCloseTo(1, 2);
        expect(runs).toBeLessThanOrEqual(13);
      },
    ),
  );
});

test("where no load is small enough, the smallest that was tried stands for none", () => {
  expect(largestLoad(() => 9_000, { guess: 10, objective: 2_000 })).toBeLessThan(1);
});

test("replicas are given out by demand, and all of them", () => {
  expect(spread(10)).toEqual([4, 3, 3]);
  for (let count = 1; count < 60; count++) {
    const given = spread(count);
    expect(given.reduce((sum, each) => sum + each, 0)).toBe(count);
    for (const [region, share] of [0.4, 0.3, 0.3].entries()) {
      expect(Math.abs((given[region] ?? 0) - share * count)).toBeLessThan(1);
    }
  }
});
