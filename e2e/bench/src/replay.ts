// Replays a recorded or generated workload through three regions of real programs, while parts are killed.
// `npm run replay -- --help` lists its options.

import { parseArgs } from "node:util";
import { startCluster } from "@meridian/harness";
import { type Report, report, showReport } from "./replay/report.ts";
import { replay } from "./replay/run.ts";
import { scenarios } from "./replay/scenarios.ts";
import { generateTrace, readTrace } from "./replay/trace.ts";

const help = `Usage: npm run replay -- [option …]

  --trace FILE        azure-llm-2023-code.csv or mooncake-conversation.jsonl, or another of their form
                      (default: a generated workload of similar shape)
  --requests COUNT    so many of its first requests (default 2000)
  --speed FACTOR      divides all times, the arrivals' and the models' (default 20)
  --scenario NAME     ${scenarios.map((each) => each.name).join(", ")}; repeatable (default: all)
  --etcd              three etcd members and three control planes, with the distance between regions
  --short             300 requests
  --json              the report as JSON`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    trace: { type: "string" },
    requests: { type: "string", default: "2000" },
    speed: { type: "string", default: "20" },
    scenario: { type: "string", multiple: true, default: [] as string[] },
    etcd: { type: "boolean", default: false },
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(help);
  process.exit(0);
}
const count = values.short ? 300 : Number(values.requests);
const speed = Number(values.speed);
const chosen = scenarios.filter(
  (each) => values.scenario.length === 0 || values.scenario.includes(each.name),
);
if (!(count > 0) || !(speed > 0) || chosen.length === 0) {
  console.error("replay: a count, a speed and a scenario that exists are needed; see --help");
  process.exit(2);
}

const trace = values.trace === undefined ? generateTrace(count) : readTrace(values.trace, count);
const note = (line: string) => console.error(line);
note(`${trace.name}: ${trace.arrivals.length} requests at ${speed} times their pace`);
const reports: Report[] = [];
for (const scenario of chosen) {
  const cluster = await startCluster({
    store: values.etcd ? "etcd" : "embedded",
    delayed: values.etcd,
    speed,
  });
  try {
    const run = await replay({ cluster, arrivals: trace.arrivals, speed, scenario });
    const figures = report(run);
    reports.push(figures);
    if (!values.json) console.log(`${showReport(figures)}\n`);
    if (figures.failed > 0) note(cluster.logs());
  } finally {
    await cluster.stop();
  }
}
if (values.json) console.log(JSON.stringify({ trace: trace.name, speed, reports }, undefined, 2));
const failed = reports.reduce((sum, each) => sum + each.failed, 0);
process.exit(failed > 0 ? 1 : 0);
