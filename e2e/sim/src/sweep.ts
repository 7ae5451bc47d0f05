// `npm run sim:sweep`: scenarios under many seeds on all processors. Prints each failing run with what makes it again.
// Options: --seeds N (runs in all, default 200), --short (each scenario once), --scenario NAME (again for more),
// --json (the last line is JSON).

import { parseArgs } from "node:util";
import { type Figure, figuresAsJson, formatFigures, holds } from "@meridian/bench/report";
import { allScenarios } from "./scenario/all-scenarios.ts";
import { type RunResult, replayCommand } from "./scenario/run-scenario.ts";
import { planSweep, sweep } from "./sweep/sweep.ts";

const { values: options } = parseArgs({
  options: {
    seeds: { type: "string" },
    short: { type: "boolean", default: false },
    scenario: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
  },
});
const names = options.scenario.length > 0 ? options.scenario : Object.keys(allScenarios);
const unknown = names.filter((each) => !Object.hasOwn(allScenarios, each));
if (unknown.length > 0) {
  console.error(`no scenario is named ${unknown[0]}; npm run sim -- --list names them`);
  process.exit(2);
}
const runs = Number(options.seeds ?? (options.short ? names.length : 200));
const startedAt = performance.now();
const told = { cpuMs: 0, done: 0 };
const results = await sweep(planSweep(names, runs), ({ result, cpuMs }) => {
  told.cpuMs += cpuMs;
  told.done += 1;
  if (result !== undefined && !result.passed) report(result);
  if (told.done % 1_000 === 0) console.log(`${told.done} of ${runs} runs`);
});
const seconds = (performance.now() - startedAt) / 1_000;
const figures = summary();
console.log(formatFigures(`${results.length} runs of ${names.length} scenarios`, figures));
if (options.json) console.log(figuresAsJson("sim:sweep", figures));
process.exit(figures.every(holds) ? 0 : 1);

function report(result: RunResult): void {
  console.log(`${result.scenario}, seed ${result.seed}, fails; again: ${replayCommand(result)}`);
  for (const { checker, atMs, message } of result.violations) {
    console.log(`  VIOLATED ${checker} at ${(atMs / 1_000).toFixed(3)} s: ${message}`);
  }
  const short = result.figures.filter((each) => !holds(each));
  if (short.length > 0) console.log(formatFigures("  falls short:", short));
}

function summary(): readonly Figure[] {
  const sum = (read: (result: RunResult) => number): number =>
    results.reduce((total, each) => total + read(each), 0);
  const events = sum((each) => each.events);
  return [
    { name: "runs", value: results.length, unit: "", atLeast: runs },
    {
      name: "runs that fail",
      value: results.filter((each) => !each.passed).length,
      unit: "",
      atMost: 0,
    },
    { name: "violations", value: sum((each) => each.violations.length), unit: "", atMost: 0 },
    { name: "requests", value: sum((each) => each.requests), unit: "" },
    { name: "events", value: events, unit: "" },
    { name: "events a second of processor", value: events / (told.cpuMs / 1_000), unit: "" },
    { name: "processor time a run", value: told.cpuMs / Math.max(1, results.length), unit: "ms" },
    // Other programs' work on the machine is not the sweep's.
    {
      name: "200 runs on two processors",
      value: (told.cpuMs / Math.max(1, results.length) / 1_000) * 100,
      unit: "s",
      atMost: 180,
    },
    { name: "time", value: seconds, unit: "s" },
  ];
}
