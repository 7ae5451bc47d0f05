// `npm run bench:proxy`: what a request through Meridian costs beside what others cost, each on one processor, in one run.
// Options: --short (no installs, one workload of each kind), --json (the last line is JSON), --only TEXT (workloads and
// parts whose name holds it).

import { parseArgs } from "node:util";
import { compare, comparisonFigures, startAround } from "./proxy/comparison.ts";
import { type Plan, type Row, workloads } from "./proxy/measure.ts";
import { formatRows } from "./proxy/table.ts";
import { type Figure, figuresAsJson, formatFigures, holds } from "./report/figures.ts";

const { values: options } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});
const isShort = options.short;
const plan: Plan = isShort
  ? { rounds: 2, roundMs: 1_000, warmUpMs: 1_000 }
  : { rounds: 5, roundMs: 2_000, warmUpMs: 2_000 };
const inShort = ["whole answers, c=32", "streams, c=32"];
const chosen = workloads.filter(
  ({ name }) => name.includes(options.only) && (!isShort || inShort.includes(name)),
);
const around = await startAround();
const figures: Figure[] = [];
try {
  const show = (rows: readonly Row[]) => console.log(formatRows(rows));
  const rows = await compare(
    { workloads: chosen, plan, mayInstall: !isShort, onRows: show },
    around,
  );
  figures.push(...comparisonFigures(rows));
} finally {
  around.stop();
}
const hold = figures.every(holds);
console.log(formatFigures("Meridian", figures));
console.log(hold ? "every bar holds" : "a bar does not hold");
if (options.json) console.log(figuresAsJson("proxy", figures));
process.exit(hold ? 0 : 1);
