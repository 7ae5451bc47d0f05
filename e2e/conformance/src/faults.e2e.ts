// A spread over the fault matrix: every fault and every moment, each time the same cells. `npm run faults` runs all.

import { beforeAll, expect, test } from "vitest";
import {
  cellsOfShort,
  cutStepOfShort,
  type FaultsResult,
  planFaults,
  runFaults,
} from "./run-faults.ts";

const plan = planFaults("", cellsOfShort);
let result: FaultsResult;
const differences = new Map<string, readonly string[]>();

beforeAll(async () => {
  result = await runFaults(plan, {
    cutStep: cutStepOfShort,
    // Other tests run beside these.
    patience: 4,
    onResult: (each) => differences.set(each.name, each.differences),
  });
}, 300_000);

const names = [...plan.matrix, ...plan.aimock, ...plan.health].map((each) => each.name);

test.each(names)("%s", (name) => {
  expect(differences.get(name)).toEqual([]);
});

test("the spread has every fault and every moment", () => {
  const whole = planFaults("", Number.POSITIVE_INFINITY).matrix;
  const faults = new Set(whole.map((each) => each.fault));
  const moments = new Set(whole.map((each) => each.moment));
  expect(new Set(plan.matrix.map((each) => each.fault))).toEqual(faults);
  expect(new Set(plan.matrix.map((each) => each.moment))).toEqual(moments);
});

test("names of cells are unique", () => {
  const whole = planFaults("", Number.POSITIVE_INFINITY);
  const all = [...whole.matrix, ...whole.aimock, ...whole.health].map((each) => each.name);
  expect(all).toHaveLength(new Set(all).size);
  expect(all.length).toBeGreaterThan(300);
});

test("an answer that was cut is never told as complete, nor with words that it does not have", () => {
  expect(result.cuts).toMatchObject({ lies: [], wrong: [], missed: 0 });
  expect(result.cuts?.cuts).toBeGreaterThan(100);
});

test("no request is left under way at the proxy", () => {
  expect(result.leftOver).toBe(0);
});
