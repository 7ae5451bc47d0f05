import { expect, test } from "vitest";
import { WriteBudget } from "./write-budget.ts";

function taken(budget: WriteBudget, now: number): number {
  let count = 0;
  while (count < 1_000 && budget.take(now)) count += 1;
  return count;
}

test("a burst is granted at once, then so many a second, and never more than a burst is saved up", () => {
  const budget = new WriteBudget({ perSecond: 20, burst: 50 });
  expect(taken(budget, 0)).toBe(50);
  expect(taken(budget, 500)).toBe(10);
  expect(taken(budget, 500)).toBe(0);
  expect(taken(budget, 3_600_000)).toBe(50);
});
