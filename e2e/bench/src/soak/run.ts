// The course of a soak: books, warm-up, rest, base, load with samples, rest, end; then everything as figures.

import { setTimeout as pause } from "node:timers/promises";
import { type Random, seededRandom } from "@meridian/proto/base";
import { type ProcessorUse, processorUse } from "../proxy/processor.ts";
import { sumOf } from "./books.ts";
import { bars } from "./figures.ts";
import { type Footprint, holdsMore, socketsOf, takeFootprint } from "./footprint.ts";
import { Load } from "./load.ts";
import type { Scene } from "./scene.ts";
import type { Point } from "./trend.ts";

export type SoakOptions = {
  readonly streams: number;
  readonly warmUpMs: number;
  readonly loadMs: number;
  readonly sampleMs: number;
  /** Multiplies the time between tokens. */
  readonly pace: number;
  readonly seed: string;
  /** Hears what goes on. */
  readonly note: (line: string) => void;
};

export type SoakResult = {
  readonly base: Footprint;
  readonly end: Footprint;
  /** Heap and buffers after a collection, bytes, by seconds since the load's begin. */
  readonly held: readonly Point[];
  /** Requests in flight at each sample. */
  readonly live: readonly number[];
  readonly load: Load;
  /** Requests that all complete, alone: what the proxy counted, and what the upstreams had told. */
  readonly exact: { readonly requests: number; readonly counted: Tokens; readonly told: Tokens };
  /** The proxy's metrics at the end. */
  readonly metrics: string;
  /** How long the load lasted, its streams' ends included. */
  readonly seconds: number;
  /** Processor time during the load, and time of waiting for a processor that others had. */
  readonly processor: { readonly proxy: ProcessorUse; readonly upstream: ProcessorUse };
};

type Tokens = { readonly input: number; readonly output: number };

const exactRequests = 40;
const exactPace = 0.1;
/** Idle connections to upstreams are closed after a while; so long is waited for that. */
const restMs = 30_000;
/** Longer than idle connections of requests are kept by anybody. */
const unchangedMs = 6_000;
const restRounds = 4;
const restRoundMs = 2_000;

export async function soak(scene: Scene, options: SoakOptions): Promise<SoakResult> {
  const random = seededRandom(options.seed);
  const exact = await countExactly(scene, random.fork("exact"));
  const load = new Load({
    port: scene.ports.clients,
    upstream: scene.upstream,
    random: random.fork("load"),
    pace: options.pace,
  });
  options.note(`warm-up: ${options.streams} streams for ${options.warmUpMs / 1_000} s`);
  await load.keep(options.streams, pause(options.warmUpMs));
  options.note("rest");
  const base = await rest(scene, load);
  options.note(`load: ${options.streams} streams for ${options.loadMs / 1_000} s`);
  const begunAt = performance.now();
  const usedBefore = processorOf(scene);
  const samples: Sample[] = [];
  await load.keep(options.streams, sampleUntil(scene, options, samples));
  const seconds = (performance.now() - begunAt) / 1_000;
  const used = processorOf(scene);
  const processor = {
    proxy: lessUse(used.proxy, usedBefore.proxy),
    upstream: lessUse(used.upstream, usedBefore.upstream),
  };
  options.note("rest");
  let end = await rest(scene, load);
  // A reconnection or a scrape that happens to be under way is no leak: what stays is.
  for (let round = 0; round < restRounds && holdsMore(end, base, bars.timers); round++) {
    await pause(restRoundMs);
    end = await takeFootprint(scene.proxyPid, scene.ports, scene.inspector);
  }
  return {
    base,
    end,
    held: samples.map((each) => ({ x: each.atSeconds, y: each.heldBytes })),
    live: samples.map((each) => each.live),
    load,
    exact,
    metrics: await scene.metrics(),
    seconds,
    processor,
  };
}

function processorOf({ proxyPid, upstream }: Scene): SoakResult["processor"] {
  return { proxy: processorUse(proxyPid), upstream: processorUse(upstream.pid) };
}

function lessUse(later: ProcessorUse, earlier: ProcessorUse): ProcessorUse {
  return { ranMs: later.ranMs - earlier.ranMs, waitedMs: later.waitedMs - earlier.waitedMs };
}

/** The tokens of requests that all complete, nothing else under way. */
async function countExactly(scene: Scene, random: Random): Promise<SoakResult["exact"]> {
  const load = new Load({
    port: scene.ports.clients,
    upstream: scene.upstream,
    random,
    pace: exactPace,
    accepts: ({ expected, behaviour }) => expected === "complete" && behaviour.kind === "read",
  });
  await load.send(exactRequests, exactRequests / 2);
  load.close();
  const metrics = await scene.metrics();
  const direction = (name: string) => sumOf(metrics, "meridian_tokens_total", { direction: name });
  return {
    requests: load.requests,
    counted: { input: direction("input"), output: direction("output") },
    told: load.told,
  };
}

type Sample = { readonly atSeconds: number; readonly heldBytes: number; readonly live: number };

async function sampleUntil(scene: Scene, options: SoakOptions, samples: Sample[]): Promise<void> {
  const { inspector } = scene;
  const begunAt = performance.now();
  for (let turn = 1; turn * options.sampleMs <= options.loadMs; turn++) {
    await pause(Math.max(0, begunAt + turn * options.sampleMs - performance.now()));
    await inspector.collectGarbage();
    const { external, heapUsed, rss } = await inspector.memory();
    const live = sumOf(await scene.metrics(), "meridian_requests_in_flight");
    const atSeconds = (performance.now() - begunAt) / 1_000;
    samples.push({ atSeconds, heldBytes: heapUsed + external, live });
    const mib = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MiB`;
    options.note(
      `${atSeconds.toFixed(0)} s: ${live} live, held ${mib(heapUsed + external)}, resident ${mib(rss)}`,
    );
  }
}

/** Clients leave, idle connections end; then what is held is counted. */
async function rest(scene: Scene, load: Load): Promise<Footprint> {
  load.close();
  const deadline = performance.now() + restMs;
  let same = { upstreams: Number.NaN, since: 0 };
  while (performance.now() < deadline) {
    const { clients, upstreams } = socketsOf(scene.proxyPid, scene.ports);
    const now = performance.now();
    if (clients > 0 || upstreams !== same.upstreams) same = { upstreams, since: now };
    // Those that probes use stay open: what is left when nothing has changed for so long is theirs.
    if (clients === 0 && (upstreams === 0 || now - same.since > unchangedMs)) break;
    await pause(100);
  }
  return takeFootprint(scene.proxyPid, scene.ports, scene.inspector);
}
