import { expect, test } from "vitest";
import type { Figure } from "../report/figures.ts";
import { allocationFigures, pickerFigures, wholeFigures } from "./decision-figures.ts";

/** Beside other tests the slowest decisions are those in which another program had its turn: nothing is asked of them. */
const effort = {
  balances: ["cache-aware"],
  decisions: 300,
  rounds: 3,
  p99MaxUs: Number.POSITIVE_INFINITY,
} as const;

/** A second or two where nothing else runs. */
const timeout = 60_000;

function worst(figures: readonly Figure[], ending: string): number {
  const found = figures.filter((each) => each.name.endsWith(ending)).map((each) => each.value);
  expect(found.length).toBeGreaterThan(0);
  return Math.max(...found);
}

test.each([
  ["a whole decision", wholeFigures, 200],
  ["the picker alone", pickerFigures, 50],
] as const)(
  "%s takes no absurd time in the middle of the field",
  { timeout },
  (_, part, mostUs) => {
    expect(worst(part(effort), "p50")).toBeLessThan(mostUs);
  },
);

test("what a decision allocates does not grow with the fleet", { timeout }, () => {
  expect(worst(allocationFigures(effort), "64 backends against 16")).toBeLessThan(1.2);
});
