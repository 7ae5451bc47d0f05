// `npm run bench:proxy`: what a request through Meridian costs beside what others cost, each on one processor, in one run;
// what thousands of live streams hold; and what a second listener thread gives. Linux alone.
// Options: --short (no others, a part of the workloads, a looser bar), --json (the last line is JSON), --only TEXT
// (workloads and parts whose name holds it).

import { parseArgs } from "node:util";
import { compare, startAround } from "./proxy/comparison.ts";
import { comparisonFigures } from "./proxy/comparison-figures.ts";
import { measureLiveStreams } from "./proxy/live-streams.ts";
import { type Plan, type Row, workloads } from "./proxy/measure.ts";
import { formatRows } from "./proxy/table.ts";
import { measureThreads } from "./proxy/threads.ts";
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
  ? { rounds: 5, roundMs: 300, warmUpMs: 1_000 }
  : { rounds: 9, roundMs: 1_000, warmUpMs: 2_000 };
const inShort = ["whole answers, c=32", "streams, c=32"];
const isChosen = (name: string) => name.includes(options.only);

// Programs that don't hang on this one by a channel are ended as it exits.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
const around = await startAround();
const figures: Figure[] = [];
try {
  await runComparison();
  if (!isShort && isChosen("live streams")) {
    figures.push(...(await measureLiveStreams({ streams: 5_000, liveMs: 5_000 }, around)));
  }
  if (!isShort && isChosen("threads")) {
    const threads = await measureThreads(around, plan);
    show(threads.rows);
    figures.push(...threads.figures);
  }
} finally {
  around.stop();
}
const hold = figures.every(holds);
console.log(formatFigures("Meridian", figures));
console.log(hold ? "every bar holds" : "a bar does not hold");
if (options.json) console.log(figuresAsJson("proxy", figures));
process.exit(hold ? 0 : 1);

async function runComparison(): Promise<void> {
  const chosen = workloads.filter(
    ({ name }) => isChosen(name) && (!isShort || inShort.includes(name)),
  );
  if (chosen.length === 0) return;
  const comparison = { workloads: chosen, plan, withOthers: !isShort, onRows: show };
  figures.push(...comparisonFigures(await compare(comparison, around), isShort));
}

function show(rows: readonly Row[]): void {
  console.log(formatRows(rows));
}
