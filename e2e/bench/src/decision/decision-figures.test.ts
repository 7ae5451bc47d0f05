import { expect, test } from "vitest";
import { holds } from "../report/figures.ts";
import { allocationFigures, pickerFigures, wholeFigures } from "./decision-figures.ts";

/** Ten times the budget: here other tests have the processor, too, and the compiler is not done. */
const effort = { decisions: 500, rounds: 4, p99MaxUs: 200 };

test.each([
  ["a whole decision", wholeFigures],
  ["the picker alone", pickerFigures],
  ["what a decision allocates, which does not grow with the fleet", allocationFigures],
])("%s: every bar holds in a short form", (_, part) => {
  expect(part(effort).filter((each) => !holds(each))).toEqual([]);
});
