// `npm run sim`: one scenario, or all of them, under a seed. The same seed does the same again, to the last event.
// Options: --scenario NAME (again for more), --seed TEXT, --list, --json (the last line is JSON).

import { parseArgs } from "node:util";
import { figuresAsJson, formatFigures } from "@meridian/bench/report";
import { allScenarios } from "./scenario/all-scenarios.ts";
import { type RunResult, replayCommand, runScenario } from "./scenario/run-scenario.ts";

const { values: options } = parseArgs({
  options: {
    scenario: { type: "string", multiple: true, default: [] },
    seed: { type: "string", default: "1" },
    list: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

if (options.list) {
  for (const [name, { shows }] of Object.entries(allScenarios)) console.log(`${name}\n  ${shows}`);
  process.exit(0);
}
const names = options.scenario.length > 0 ? options.scenario : Object.keys(allScenarios);
const results = names.map(run);
const failed = results.filter((each) => !each.passed);
console.log(`${results.length - failed.length} of ${results.length} pass`);
if (options.json) {
  const figures = results.flatMap(({ scenario, figures: own, violations }) => [
    ...own.map((each) => ({ ...each, name: `${scenario}: ${each.name}` })),
    { name: `${scenario}: violations`, value: violations.length, unit: "", atMost: 0 },
  ]);
  console.log(figuresAsJson("sim", figures));
}
process.exit(failed.length > 0 ? 1 : 0);

function run(name: string): RunResult {
  const startedAt = performance.now();
  const result = runScenario(name, options.seed);
  if (result === undefined) {
    console.error(`no scenario is named ${name}; npm run sim -- --list names them`);
    process.exit(2);
  }
  const { hash, requests, events, figures, violations, passed } = result;
  const took = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const title = `${name}, seed ${options.seed}: ${requests} requests, ${events} events in ${took} s, trace ${hash}`;
  console.log(formatFigures(title, figures));
  for (const { checker, atMs, message } of violations) {
    console.log(`  VIOLATED ${checker} at ${(atMs / 1_000).toFixed(3)} s: ${message}`);
  }
  if (!passed) console.log(`  again: ${replayCommand(result)}`);
  return result;
}
