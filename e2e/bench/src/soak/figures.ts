// What a soak must keep to, and how it did.

import type { Figure } from "../report/figures.ts";
import { quantile } from "../report/quantile.ts";
import { type Range, sumOf } from "./books.ts";
import type { Footprint } from "./footprint.ts";
import type { SoakResult } from "./run.ts";
import { trendOf } from "./trend.ts";

const mib = 1_048_576;

/** What the end may hold above the base, which is measured after a warm-up of the same load. */
export const bars = {
  /** Of heap and buffers: this share, or so many bytes if that is more. */
  heldShare: 1.1,
  heldBytes: 2 * mib,
  residentShare: 1.15,
  /** Above the base: the links to the control plane have timers that come and go, and so has each probe under way. */
  timers: 8,
  /** Connections and signals of probes and readings that happen to be under way. */
  probing: 4,
  /** Growth of the heap over the whole load that is none: less than this, or likely by chance. */
  growthBytes: mib,
  growthChance: 0.01,
  /** From a client's leaving to its upstream's noticing. */
  cancelledMs: 100,
  /** Of the streams that are wanted, at each sample; an upload is no request yet. */
  liveShare: 0.85,
} as const;

export type FiguresOptions = { readonly streams: number; readonly isShort: boolean };

export function soakFigures(result: SoakResult, options: FiguresOptions): readonly Figure[] {
  return [
    ...endings(result, options),
    ...remains(result.base, result.end),
    ...growth(result, options),
    ...bookkeeping(result),
  ];
}

function endings(
  { load, live, processor, seconds }: SoakResult,
  options: FiguresOptions,
): readonly Figure[] {
  const { cancelledAfterMs } = load;
  const share = (ms: number) => ms / 10 / seconds;
  return [
    { name: "requests", value: load.requests, unit: "", atLeast: 1 },
    { name: "load lasted", value: seconds, unit: "s" },
    {
      name: "live streams, least of all samples",
      value: Math.min(...live),
      unit: "",
      ...(options.isShort ? {} : { atLeast: Math.floor(options.streams * bars.liveShare) }),
    },
    { name: "processor of the proxy", value: share(processor.proxy.ranMs), unit: "%" },
    // Of a machine that does something else, too, the times below say little.
    { name: "the proxy waited for it", value: share(processor.proxy.waitedMs), unit: "%" },
    {
      name: "the upstreams waited for theirs",
      value: share(processor.upstream.waitedMs),
      unit: "%",
    },
    { name: "left by clients", value: load.books.left.most, unit: "" },
    { name: "broken by upstreams, and said so", value: load.books.broken.most, unit: "" },
    { name: "wrong endings", value: load.wrong, unit: "", atMost: 0 },
    { name: "cancelled upstream calls", value: cancelledAfterMs.length, unit: "", atLeast: 1 },
    {
      name: "client left to upstream cancelled, p50",
      value: quantile(cancelledAfterMs, 0.5),
      unit: "ms",
    },
    {
      name: "client left to upstream cancelled, p99",
      value: quantile(cancelledAfterMs, 0.99),
      unit: "ms",
      // A short run shares its processors with other tests.
      ...(options.isShort ? {} : { atMost: bars.cancelledMs }),
    },
    {
      name: "client left to upstream cancelled, most",
      value: Math.max(...cancelledAfterMs),
      unit: "ms",
    },
  ];
}

function remains(base: Footprint, end: Footprint): readonly Figure[] {
  const held = Math.max(base.heldBytes * bars.heldShare, base.heldBytes + bars.heldBytes);
  const equal = (name: string, before: number, after: number, slack = 0): Figure => ({
    name: `${name} (base ${before})`,
    value: after,
    unit: "",
    atMost: before + slack,
  });
  return [
    memory("heap and buffers", base.heldBytes, end.heldBytes, held),
    memory(
      "resident",
      base.residentBytes,
      end.residentBytes,
      base.residentBytes * bars.residentShare,
    ),
    equal("sockets of clients", base.clientSockets, end.clientSockets),
    equal("sockets to upstreams", base.upstreamSockets, end.upstreamSockets, bars.probing),
    equal("descriptors", base.descriptors, end.descriptors),
    equal("active resources", base.resources, end.resources),
    equal("timers that run", base.objects.timers, end.objects.timers, bars.timers),
    equal("sockets reachable", base.objects.sockets, end.objects.sockets),
    equal("requests reachable", base.objects.incomingMessages, end.objects.incomingMessages),
    equal("responses reachable", base.objects.serverResponses, end.objects.serverResponses),
    equal(
      "abort signals reachable",
      base.objects.abortSignals,
      end.objects.abortSignals,
      bars.probing,
    ),
  ];
}

function memory(name: string, base: number, end: number, most: number): Figure {
  const shown = (bytes: number) => Number((bytes / mib).toFixed(2));
  return {
    name: `${name} (base ${shown(base)})`,
    value: shown(end),
    unit: "MiB",
    atMost: shown(most),
  };
}

function growth({ held, seconds }: SoakResult, { isShort }: FiguresOptions): readonly Figure[] {
  const { chance, slope } = trendOf(held);
  const grownBytes = slope * seconds;
  const judged = isShort || chance > bars.growthChance ? {} : { atMost: bars.growthBytes / mib };
  return [
    {
      name: "growth of heap and buffers over the load",
      value: grownBytes / mib,
      unit: "MiB",
      ...judged,
    },
    { name: "so much growth by chance", value: chance, unit: "" },
  ];
}

function bookkeeping({ exact, load, metrics }: SoakResult): readonly Figure[] {
  const { books } = load;
  const requests = (status: string) => sumOf(metrics, "meridian_requests_total", { status });
  const rows: readonly (readonly [string, number, Range])[] = [
    ["requests answered", requests("2xx"), plus(books.complete, exact.requests)],
    ["requests left", requests("499"), books.left],
    ["broken streams", sumOf(metrics, "meridian_broken_streams_total"), books.broken],
    [
      "output tokens",
      sumOf(metrics, "meridian_tokens_total", { direction: "output" }),
      plus(books.output, exact.told.output),
    ],
  ];
  return [
    {
      name: "in flight at the end",
      value: sumOf(metrics, "meridian_requests_in_flight"),
      unit: "",
      atMost: 0,
    },
    { name: "refused", value: requests("4xx") + requests("5xx"), unit: "", atMost: 0 },
    ...rows.map(([name, value, range]) => counted(name, value, range)),
    counted("input tokens of the exact part", exact.counted.input, same(exact.told.input)),
    counted("output tokens of the exact part", exact.counted.output, same(exact.told.output)),
  ];
}

function counted(name: string, value: number, { least, most }: Range): Figure {
  const known = least === most ? `${least}` : `${least} to ${most}`;
  return {
    name: `counted: ${name} (seen ${known})`,
    value,
    unit: "",
    atLeast: least,
    atMost: most,
  };
}

function same(count: number): Range {
  return { least: count, most: count };
}

function plus({ least, most }: Range, count: number): Range {
  return { least: least + count, most: most + count };
}
