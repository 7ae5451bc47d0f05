// `npm run bench:health`: how sure and how fast verdicts on backends are. The real judge runs on random events; means are
// held against the exact computation, and shown beside the literature's tables. Then real programs meet real faults.
// Options: --short, --json (the last line is JSON), --seed TEXT, --figure FILE.svg (draws one failure and recovery),
// --part simulation or real.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { seededRandom } from "@meridian/proto/base";
import {
  commonCauseFigures,
  detectionFigures,
  recoveryFigures,
  runLengthFigures,
  thresholdFigures,
  tickedFigures,
} from "./health/health-figures.ts";
import { realRuns } from "./health/real/real-runs.ts";
import { realFigures, simulateFault } from "./health/real-figures.ts";
import { type Figure, figuresAsJson, formatFigures, holds } from "./report/figures.ts";

const { values: options } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    seed: { type: "string", default: "health" },
    figure: { type: "string" },
    part: { type: "string", default: "all" },
  },
});
if (!["all", "simulation", "real"].includes(options.part)) {
  console.error("bench:health: --part takes all, simulation or real");
  process.exit(2);
}
const random = seededRandom(options.seed);
const effort = options.short
  ? { random, lengths: 100_000, times: 10_000, proofs: 5_000 }
  : { random, lengths: 400_000, times: 40_000, proofs: 40_000 };

const figures: Figure[] = [];
const parts = [
  ["events to an alarm: exact, simulated, and the reference's", runLengthFigures],
  ["thresholds in use: 60 backends, one false alarm a month", thresholdFigures],
  ["D-fail with ticks of a second, beside the reference", tickedFigures],
  ["10 requests/s: how soon trouble is noticed", detectionFigures],
  ["the way back", recoveryFigures],
  ["trouble of a whole pool", commonCauseFigures],
] as const;
if (options.part !== "real") {
  for (const [title, part] of parts) show(title, part(effort));
}
if (options.part !== "simulation") {
  const real = await realRuns({ isShort: options.short, note: (line) => console.log(line) });
  const trials = {
    fleet: real.fleet,
    random: random.fork("faults"),
    runs: options.short ? 150 : 600,
  };
  const figuresOfReal = realFigures(real, (fault) => simulateFault(fault, trials));
  show("real programs, 10 requests/s and backend", figuresOfReal);
}
if (options.figure !== undefined) {
  // Vega is large: loaded where something is to be drawn.
  const { drawRecovery } = await import("./health/figure.ts");
  writeFileSync(options.figure, await drawRecovery(random.fork("figure")));
  console.log(`drawn: ${options.figure}`);
}
const hold = figures.every(holds);
console.log(hold ? "every bar holds" : "a bar does not hold");
if (options.json) console.log(figuresAsJson("health", figures));
process.exit(hold ? 0 : 1);

function show(title: string, shown: readonly Figure[]): void {
  console.log(formatFigures(title, shown));
  figures.push(...shown);
}
