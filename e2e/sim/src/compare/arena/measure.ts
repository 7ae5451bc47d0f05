// One run, measured: first tokens, whole answers, cache hits, what went abroad.

import type { Instant } from "@meridian/proto/base";
import type { Demand, Workload } from "../workloads/work.ts";
import { Arena, type Ask, type Layout, type Policy } from "./arena.ts";

/** How long a run is, in ms: what fills sessions and caches is not counted, what is asked late is heard to its end. */
export type Span = {
  readonly warmUpMs: number;
  readonly countedMs: number;
  readonly drainMs: number;
};

export type Measured = {
  readonly requests: number;
  /** Requests counted a second: what was offered. */
  readonly offeredPerSecond: number;
  /** Answers that ended within the counted time, a second. */
  readonly answeredPerSecond: number;
  readonly firstTokenMs: Quantiles;
  /** First token, the worst region's p90. */
  readonly worstRegionP90Ms: number;
  readonly meanFirstTokenMs: number;
  /** To the whole answer. */
  readonly meanLatencyMs: number;
  /** Share of prompt tokens that a cache held. */
  readonly hitRate: number;
  /** Share of requests served in another region than their client's. */
  readonly remoteShare: number;
  /** Requests that had not ended when the run did; they count as if they ended there. */
  readonly unfinished: number;
  /** Requests that were not pushed exactly once, or ended without a push; 0 in any run that is right. */
  readonly lost: number;
};

export type Quantiles = { readonly p50: number; readonly p90: number; readonly p99: number };

export type Trial = {
  readonly workload: Workload;
  readonly policy: Policy;
  readonly layout: Layout;
  readonly demand: Demand;
  readonly span: Span;
};

export function measure({ workload, policy, layout, demand, span }: Trial): Measured {
  const endAt = span.warmUpMs + span.countedMs;
  const sessions = workload.sessions({ ...demand, durationMs: endAt });
  const arena = new Arena(layout, policy, {
    seed: `${demand.seed}/${policy.name}`,
    endAt,
    objectiveMs: workload.objectiveMs,
  });
  arena.run(sessions, endAt + span.drainMs);
  return read(arena, { fromMs: span.warmUpMs, endAt, stopAt: endAt + span.drainMs });
}

type Window = { readonly fromMs: Instant; readonly endAt: Instant; readonly stopAt: Instant };

function read(arena: Arena, window: Window): Measured {
  const counted = arena.asks.filter((each) => each.askedAt >= window.fromMs);
  const seconds = (window.endAt - window.fromMs) / 1_000;
  const firsts = sorted(counted.map((each) => firstMs(each, window.stopAt)));
  const answered = arena.asks.filter(
    (each) => each.endedAt >= window.fromMs && each.endedAt < window.endAt,
  );
  const prompts = sum(counted.map((each) => each.step.promptTokens));
  const latencies = counted.map((each) => endMs(each, window.stopAt));
  const worst = arena.layout.replicas.map((_, region) => {
    const own = counted.filter((each) => each.session.region === region);
    return quantileOf(sorted(own.map((each) => firstMs(each, window.stopAt))), 0.9);
  });
  return {
    requests: counted.length,
    offeredPerSecond: counted.length / seconds,
    answeredPerSecond: answered.length / seconds,
    firstTokenMs: {
      p50: quantileOf(firsts, 0.5),
      p90: quantileOf(firsts, 0.9),
      p99: quantileOf(firsts, 0.99),
    },
    worstRegionP90Ms: Math.max(...worst.filter((each) => !Number.isNaN(each))),
    meanFirstTokenMs: firsts.reduce((total, each) => total + each, 0) / counted.length,
    meanLatencyMs: sum(latencies) / counted.length,
    hitRate: sum(counted.map((each) => each.hitTokens)) / prompts,
    remoteShare: counted.filter(isRemote).length / counted.length,
    unfinished: counted.filter((each) => Number.isNaN(each.endedAt)).length,
    lost: arena.asks.filter(isLost).length,
  };
}

function isRemote(ask: Ask): boolean {
  return ask.replica !== undefined && ask.replica.region !== ask.session.region;
}

/** Two pushes, or a push that left no trace of where. Who still waits at a load balancer is not lost. */
function isLost(ask: Ask): boolean {
  return ask.pushes > 1 || (ask.pushes === 1) !== (ask.replica !== undefined);
}

function firstMs(ask: Ask, stopAt: Instant): number {
  return (Number.isNaN(ask.firstAt) ? stopAt : ask.firstAt) - ask.askedAt;
}

function endMs(ask: Ask, stopAt: Instant): number {
  return (Number.isNaN(ask.endedAt) ? stopAt : ask.endedAt) - ask.askedAt;
}

function sorted(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}

/** Nearest rank. NaN without values. */
function quantileOf(ascending: Float64Array, share: number): number {
  return ascending[Math.max(1, Math.ceil(share * ascending.length)) - 1] ?? Number.NaN;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}
