// `npm run sim:compare`: routing policies on the same simulated fleet, ours by its real cores, against the pass marks of
// the reference. Options: --short, --seeds N, --trace FILE (again for more), --plots DIR (SVG drawings), --threads N,
// --json (the last line is JSON). Equal options give equal figures.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { holds } from "@meridian/bench/report";
import { comparisonAsJson } from "./compare/report/json.ts";
import { type Mark, marksOf } from "./compare/report/marks.ts";
import { formatComparison, formatMarks } from "./compare/report/table.ts";
import { comparePolicies } from "./compare/run/compare-policies.ts";
import { fullEffort, shortEffort, workloadsWith } from "./compare/run/contest.ts";
import { Crew } from "./compare/run/crew.ts";

const { values: options } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    seeds: { type: "string" },
    trace: { type: "string", multiple: true, default: [] },
    plots: { type: "string" },
    threads: { type: "string" },
  },
});
const { trace: traces } = options;
const usual = options.short ? shortEffort : fullEffort;
const effort = { ...usual, seeds: Number(options.seeds ?? usual.seeds) };
const threads = options.threads === undefined ? {} : { threads: Number(options.threads) };

const crew = new Crew({ traces, ...threads });
const comparison = await comparePolicies(crew, workloadsWith(traces), effort);
await crew.close();

const marks = marksOf(comparison);
console.log(formatComparison(comparison));
console.log(`\n${formatMarks(marks)}`);
if (options.plots !== undefined) {
  // Vega is large: loaded where something is to be drawn.
  const { drawComparison } = await import("./compare/report/plots.ts");
  for (const { file, svg } of await drawComparison(comparison)) {
    writeFileSync(join(options.plots, file), svg);
    console.log(`drawn: ${join(options.plots, file)}`);
  }
}
const isHeld = marks.every((each: Mark) => holds(each.figure));
console.log(isHeld ? "every mark holds" : "a mark does not hold");
if (options.json) console.log(comparisonAsJson(comparison, marks));
// Short runs and few seeds show that it works, and judge nothing.
process.exit(isHeld || options.short ? 0 : 1);
