// What thousands of live streams hold in memory, in two cycles: the second must not need more than the first.

import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import {
  type Inspector,
  inspectorOption,
  openInspector,
  type ProgramMemory,
} from "@meridian/harness";
import type { Figure } from "../report/figures.ts";
import type { Around } from "./comparison.ts";
import { startMeridian } from "./meridian.ts";
import type { Target } from "./messages.ts";

export type LiveStreamsOptions = {
  readonly streams: number;
  /** How long all are live before memory is read. */
  readonly liveMs: number;
};

type Cycle = {
  /** As it is, with what waits for collection. */
  readonly live: ProgramMemory;
  readonly collected: ProgramMemory;
};

const heapKibMax = 20;
const residentKibMax = 40;
const growthMax = 1.05;

/** Descriptors of a proxy for other things than streams. */
const otherDescriptors = 500;
/** A live stream sends a token so often; a fast one ends after its tokens. */
const livePace = { kind: "pace", intervalMs: 1_000, isEndless: true } as const;
const fastPace = { kind: "pace", intervalMs: 2, isEndless: false } as const;
const settleMs = 1_500;

/** Throws when a stream did not begin or end well. */
export async function measureLiveStreams(
  options: LiveStreamsOptions,
  around: Around,
): Promise<readonly Figure[]> {
  const streams = Math.min(options.streams, streamsPossible());
  if (streams < options.streams) console.log(`the limit on open files allows ${streams} streams`);
  const { upstreamPorts } = around;
  const meridian = await startMeridian({ upstreamPorts, nodeOptions: inspectorOption });
  try {
    const [program] = meridian.cluster.regions[0]?.proxies ?? [];
    if (program === undefined) throw new Error("the proxy does not run");
    const inspector = await openInspector(program);
    const { target } = meridian;
    await warmUp(target, around);
    const base = await collected(inspector);
    const cycles: Cycle[] = [];
    for (let turn = 0; turn < 2; turn++) {
      cycles.push(await cycle(inspector, target, { ...options, streams }, around));
    }
    inspector.close();
    const [first, second] = cycles;
    if (first === undefined || second === undefined) throw new Error("unreachable");
    return liveStreamsFigures(streams, base, first, second);
  } finally {
    await meridian.stop();
  }
}

/** Every stream has two connections in the proxy. Node itself raises its limit as far as it may. */
function streamsPossible(): number {
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(
    readFileSync("/proc/self/limits", "utf8"),
  )?.[1];
  return hard === undefined ? Number.POSITIVE_INFINITY : (Number(hard) - otherDescriptors) / 2;
}

async function warmUp(target: Target, { load, upstream }: Around): Promise<void> {
  await upstream.ask(fastPace, "paced");
  const run = { kind: "run", target, connections: 64, durationMs: 2_000, pauseMsMax: 0 } as const;
  await load.ask({ ...run, body: "short" }, "result");
  await load.ask({ ...run, body: "stream" }, "result");
}

async function cycle(
  inspector: Inspector,
  target: Target,
  { streams, liveMs }: LiveStreamsOptions,
  { load, upstream }: Around,
): Promise<Cycle> {
  await upstream.ask(livePace, "paced");
  const begun = await load.ask({ kind: "hold", target, streams }, "holding");
  await pause(liveMs);
  const live = await inspector.memory();
  const after = await collected(inspector);
  await upstream.ask(fastPace, "paced");
  const { failures } = await load.ask({ kind: "await-ends" }, "ended");
  const wrong = [...begun.failures, ...failures];
  if (wrong.length > 0) throw new Error(`${wrong.length} live streams failed: ${wrong[0]}`);
  await pause(settleMs);
  return { live, collected: after };
}

/** Twice: what a finaliser let go is gone after the second. */
async function collected(inspector: Inspector): Promise<ProgramMemory> {
  await inspector.collectGarbage();
  await inspector.collectGarbage();
  return await inspector.memory();
}

function liveStreamsFigures(
  streams: number,
  base: ProgramMemory,
  first: Cycle,
  second: Cycle,
): readonly Figure[] {
  const each = (bytes: number) => bytes / 1_024 / streams;
  const held = ({ collected: memory }: Cycle) =>
    memory.heapUsed + memory.external - base.heapUsed - base.external;
  const resident = ({ live }: Cycle) => live.rss - base.rss;
  const title = `${streams} live streams`;
  return [
    {
      name: `${title}: heap and external after collection, each`,
      value: each(held(first)),
      unit: "KiB",
      atMost: heapKibMax,
    },
    {
      name: `${title}: resident, each`,
      value: each(resident(first)),
      unit: "KiB",
      atMost: residentKibMax,
    },
    {
      name: `${title}: resident after collection, each`,
      value: each(first.collected.rss - base.rss),
      unit: "KiB",
    },
    {
      name: `${title}: heap and external, second cycle to first`,
      value: held(second) / held(first),
      unit: "",
      atMost: growthMax,
    },
    {
      name: `${title}: resident, second cycle to first`,
      value: resident(second) / resident(first),
      unit: "",
      atMost: growthMax,
    },
    { name: `${title}: resident at rest`, value: base.rss / 1_048_576, unit: "MiB" },
  ];
}
