// `npm run bench:decision`: what a routing decision costs with three regions of 64 backends each: the whole of it, from a
// decoded request to the backend that is called, and the picker alone; and that its allocations do not grow with the fleet.
// Options: --short, --json (the last line is JSON).

import { parseArgs } from "node:util";
import {
  allBalances,
  allocationFigures,
  machineFigures,
  pickerFigures,
  wholeFigures,
} from "./decision/decision-figures.ts";
import { type Figure, figuresAsJson, formatFigures, holds } from "./report/figures.ts";

const { values: options } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const effort = options.short
  ? { balances: allBalances, decisions: 4_000, rounds: 5, p99MaxUs: 20 }
  : { balances: allBalances, decisions: 20_000, rounds: 9, p99MaxUs: 20 };

const figures: Figure[] = [];
for (const [title, part] of [
  ["begin and the first step, 3 regions × 64 backends", wholeFigures],
  [
    "the machine meanwhile: with a p99 far above its p50, the bars above say nothing",
    machineFigures,
  ],
  ["the picker alone, 64 backends", pickerFigures],
  ["what is left for the collector", allocationFigures],
] as const) {
  const shown = part(effort);
  console.log(formatFigures(title, shown));
  figures.push(...shown);
}
const hold = figures.every(holds);
console.log(hold ? "every bar holds" : "a bar does not hold");
if (options.json) console.log(figuresAsJson("decision", figures));
process.exit(hold ? 0 : 1);
