// `npm run bench:policy`: how long a policy takes from an operator's apply to the proxies of three distant regions, and
// what it costs one control plane to hand it to a thousand of them.
// Options: --short, --json (the last line is JSON), --part regions or fan-out.

import { parseArgs } from "node:util";
import { type CommitToApplied, measureCommitToApplied } from "./policy/commit-to-applied.ts";
import { type FanOutResult, measureFanOut } from "./policy/fan-out.ts";
import { type Figure, figuresAsJson, formatFigures, holds } from "./report/figures.ts";
import { quantile } from "./report/quantile.ts";

/** Policy commit to the last proxy (design 16). */
const appliedMsMax = 1_000;
/** Against a bare grpc-js fan-out in the same run (design 16). */
const ratioMax = 2;

const { values: options } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    part: { type: "string", default: "all" },
  },
});
if (!["all", "regions", "fan-out"].includes(options.part)) {
  console.error("bench:policy: --part takes all, regions or fan-out");
  process.exit(2);
}
const isShort = options.short;
const figures: Figure[] = [];
if (options.part !== "fan-out") {
  const applies = isShort ? 8 : 60;
  const measured = await measureCommitToApplied(applies);
  figures.push(
    ...show(`three regions, ${applies} applies, etcd's leader in us-east`, regionFigures(measured)),
  );
}
if (options.part !== "regions") {
  const proxies = isShort ? 100 : 1_000;
  const measured = await measureFanOut({ proxies, pushes: isShort ? 5 : 50 });
  figures.push(...show(`one control plane, ${proxies} proxies`, fanOutFigures(measured)));
}
const hold = figures.every(holds);
console.log(hold ? "every bar holds" : "a bar does not hold");
if (options.json) console.log(figuresAsJson("policy", figures));
process.exit(hold ? 0 : 1);

function regionFigures(measured: CommitToApplied): readonly Figure[] {
  return [
    ...times("apply called to answered", measured.calledToAnsweredMs),
    ...measured.regions.flatMap((each) => [
      ...times(`${each.region}: committed to applied`, each.committedToAppliedMs),
      ...times(`${each.region}: called to applied`, each.calledToAppliedMs),
      {
        name: `${each.region}: physics (one commit, half a round trip)`,
        value: each.physicsMs,
        unit: "ms",
      },
    ]),
    ...times("called to applied on the last", measured.calledToLastMs, appliedMsMax),
  ];
}

function fanOutFigures(measured: FanOutResult): readonly Figure[] {
  const { control, bare, allLanes } = measured;
  const spreadRatio = quantile(control.spreadMs, 0.99) / quantile(bare.spreadMs, 0.99);
  return [
    { name: "bytes in a push", value: control.bytesPerPush, unit: "B" },
    { name: "processor per push", value: control.processorMsPerPush, unit: "ms" },
    { name: "processor per push, bare", value: bare.processorMsPerPush, unit: "ms" },
    {
      name: "processor per push, ratio",
      value: control.processorMsPerPush / bare.processorMsPerPush,
      unit: "",
      // With few proxies the apply itself outweighs the fan-out.
      ...(isShort ? {} : { atMost: ratioMax }),
    },
    ...times("first received to all acknowledged", control.spreadMs),
    ...times("first received to all acknowledged, bare", bare.spreadMs),
    {
      name: "first received to all acknowledged, p99, ratio",
      value: spreadRatio,
      unit: "",
      atMost: ratioMax,
    },
    ...times("apply called to all acknowledged", control.orderedMs, appliedMsMax),
    ...times("write begun to all acknowledged, bare", bare.orderedMs),
    { name: "memory", value: control.residentMib, unit: "MiB" },
    { name: "memory, bare", value: bare.residentMib, unit: "MiB" },
    { name: "all lanes: processor at rest", value: allLanes.restMsPerSecond, unit: "ms/s" },
    { name: "all lanes: processor per push", value: allLanes.processorMsPerPush, unit: "ms" },
    ...times("all lanes: apply called to all acknowledged", allLanes.orderedMs, appliedMsMax),
    { name: "all lanes: memory", value: allLanes.residentMib, unit: "MiB" },
  ];
}

/** p50 and p99; the bar is p99's. */
function times(name: string, values: readonly number[], atMost?: number): readonly Figure[] {
  const p99: Figure = { name: `${name}, p99`, value: quantile(values, 0.99), unit: "ms" };
  return [
    { name: `${name}, p50`, value: quantile(values, 0.5), unit: "ms" },
    atMost === undefined ? p99 : { ...p99, atMost },
  ];
}

function show(title: string, shown: readonly Figure[]): readonly Figure[] {
  console.log(formatFigures(title, shown));
  return shown;
}
