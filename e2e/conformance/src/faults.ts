// `npm run faults`: every fault of a model server at every moment of an answer, seen by the official client; aimock's
// faults; and every byte at which an answer can be cut. Options: --short, --only TEXT, --json (the last line is JSON).

import { parseArgs } from "node:util";
import { type Figure, figuresAsJson, formatFigures, holds } from "@meridian/bench/report";
import { cellsOfShort, cutStepOfShort, planFaults, runFaults } from "./run-faults.ts";

/** The least that the whole matrix has. */
const cellsMin = 300;

const { values: options } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});
const startedAt = performance.now();
const isAll = options.only === "" && !options.short;
const plan = planFaults(options.only, options.short ? cellsOfShort : Number.POSITIVE_INFINITY);
const result = await runFaults(plan, {
  cutStep: options.short ? cutStepOfShort : 1,
  patience: 1,
  onResult: ({ name, differences }) => {
    if (differences.length > 0) console.log(`FAIL ${name}\n  ${differences.join("\n  ")}`);
  },
});
const failed = result.cells.filter((each) => each.differences.length > 0);
const figures: Figure[] = [
  { name: "cells", value: result.cells.length, unit: "", ...(isAll ? { atLeast: cellsMin } : {}) },
  { name: "cells not as expected", value: failed.length, unit: "", atMost: 0 },
  { name: "decision records compared", value: result.records, unit: "" },
  { name: "requests left under way", value: result.leftOver, unit: "", atMost: 0 },
  ...(result.cuts === undefined
    ? []
    : [
        { name: "cuts", value: result.cuts.cuts, unit: "", atLeast: 1 },
        { name: "cut and told as complete", value: result.cuts.lies.length, unit: "", atMost: 0 },
        { name: "cut and told wrongly", value: result.cuts.wrong.length, unit: "", atMost: 0 },
        { name: "cuts that nobody met", value: result.cuts.missed, unit: "", atMost: 0 },
      ]),
  { name: "time", value: (performance.now() - startedAt) / 1_000, unit: "s" },
];
for (const each of [...(result.cuts?.lies ?? []), ...(result.cuts?.wrong ?? [])].slice(0, 20)) {
  console.log(`FAIL ${each}`);
}
console.log(formatFigures("the fault matrix", figures));
const hold = figures.every(holds);
console.log(hold ? "every bar holds" : "a bar does not hold");
if (options.json) console.log(figuresAsJson("faults", figures));
process.exit(hold ? 0 : 1);
