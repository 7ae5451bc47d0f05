// Subjects in turn under the same load, several rounds, medians: what the machine does in the meantime meets all alike.

import { quantile } from "../report/quantile.ts";
import type { Child } from "./child.ts";
import type { FromLoad, FromUpstream, ToLoad, ToUpstream } from "./messages.ts";
import { familyMib, processorUse } from "./processor.ts";
import type { Subject } from "./subject.ts";
import type { BodyKind } from "./workload.ts";

export type Workload = {
  readonly name: string;
  readonly body: BodyKind;
  readonly connections: number;
  readonly pauseMsMax: number;
};

export const workloads: readonly Workload[] = [
  ...[1, 10, 32, 128].map((connections): Workload => {
    return { name: `whole answers, c=${connections}`, body: "short", connections, pauseMsMax: 0 };
  }),
  // 50 tokens, 2 ms apart: the requests per second are the pace's.
  { name: "streams, c=32", body: "stream", connections: 32, pauseMsMax: 10 },
  { name: "100 KB prompts, c=10", body: "large", connections: 10, pauseMsMax: 0 },
];

export type Load = Child<ToLoad, FromLoad>;
export type Upstream = Child<ToUpstream, FromUpstream>;

export type Programs = { readonly load: Load; readonly upstream: Upstream };

export type Plan = {
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
};

/** What was read of one subject in one round. */
export type Reading = {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** NaN where nothing is streamed. */
  readonly firstTokenP50Ms: number;
  readonly firstTokenP99Ms: number;
  /** All threads, user and system; NaN for none in between. */
  readonly processorUs: number;
  /** Resident. */
  readonly mib: number;
  /** Share of the time in which the subject ran; and in which the load generator and the upstream did, together. */
  readonly busy: number;
  readonly loadBusy: number;
  /** Share of the time in which the subject was kept waiting for its processor by others. */
  readonly kept: number;
};

/** One subject under one workload: medians over the rounds, and the rounds. */
export type Row = Reading & {
  readonly workload: string;
  readonly subject: string;
  readonly rounds: readonly Reading[];
};

/** The median of a figure's ratio in each round, so that what disturbed a round disturbs both sides of it. */
export function ratio(above: Row, below: Row, read: (reading: Reading) => number): number {
  return pairwise(above, below, (one, other) => read(one) / read(other));
}

/** The median of a figure's difference in each round. */
export function difference(than: Row, less: Row, read: (reading: Reading) => number): number {
  return pairwise(than, less, (one, other) => read(one) - read(other));
}

/** Throws when any answer was wrong. */
export async function measureWorkload(
  workload: Workload,
  subjects: readonly Subject[],
  programs: Programs,
  plan: Plan,
): Promise<readonly Row[]> {
  const readings = new Map<Subject, Reading[]>(subjects.map((each) => [each, []]));
  for (const subject of subjects) await measure(workload, subject, programs, plan.warmUpMs);
  for (let round = 0; round < plan.rounds; round++) {
    // Nobody is always first.
    const turn = subjects.map((_, index) => subjects[(index + round) % subjects.length]);
    for (const subject of turn) {
      if (subject === undefined) continue;
      readings.get(subject)?.push(await measure(workload, subject, programs, plan.roundMs));
    }
  }
  return subjects.map((subject) => {
    const rounds = readings.get(subject) ?? [];
    return { workload: workload.name, subject: subject.name, ...medians(rounds), rounds };
  });
}

function pairwise(a: Row, b: Row, compare: (a: Reading, b: Reading) => number): number {
  const pairs = a.rounds.map((reading, round) => {
    const other = b.rounds[round];
    return other === undefined ? Number.NaN : compare(reading, other);
  });
  return quantile(pairs, 0.5);
}

async function measure(
  workload: Workload,
  subject: Subject,
  { load, upstream }: Programs,
  durationMs: number,
): Promise<Reading> {
  const isDirect = subject.pid === upstream.pid;
  const before = processorUse(subject.pid);
  const upstreamBefore = processorUse(upstream.pid);
  const startedAt = performance.now();
  const result = await load.ask(
    {
      kind: "run",
      target: subject.target,
      body: workload.body,
      connections: workload.connections,
      durationMs,
      pauseMsMax: workload.pauseMsMax,
    },
    "result",
  );
  const tookMs = performance.now() - startedAt;
  const after = processorUse(subject.pid);
  const upstreamMs = processorUse(upstream.pid).ranMs - upstreamBefore.ranMs;
  if (result.failures.length > 0) {
    throw new Error(`${subject.name}, ${workload.name}: ${result.failures.join("\n")}`);
  }
  const ranMs = isDirect ? Number.NaN : after.ranMs - before.ranMs;
  return {
    perSecond: result.perSecond,
    p50Ms: result.latencyMs.p50,
    p99Ms: result.latencyMs.p99,
    firstTokenP50Ms: result.firstTokenMs.p50,
    firstTokenP99Ms: result.firstTokenMs.p99,
    processorUs: (ranMs * 1_000) / result.answers,
    mib: isDirect ? Number.NaN : familyMib(subject.pid),
    busy: ranMs / tookMs,
    loadBusy: result.ownBusy + upstreamMs / tookMs,
    kept: isDirect ? Number.NaN : (after.waitedMs - before.waitedMs) / tookMs,
  };
}

function medians(readings: readonly Reading[]): Reading {
  const middle = (read: (reading: Reading) => number) => quantile(readings.map(read), 0.5);
  return {
    perSecond: middle((each) => each.perSecond),
    p50Ms: middle((each) => each.p50Ms),
    p99Ms: middle((each) => each.p99Ms),
    firstTokenP50Ms: middle((each) => each.firstTokenP50Ms),
    firstTokenP99Ms: middle((each) => each.firstTokenP99Ms),
    processorUs: middle((each) => each.processorUs),
    mib: middle((each) => each.mib),
    busy: middle((each) => each.busy),
    loadBusy: middle((each) => each.loadBusy),
    kept: middle((each) => each.kept),
  };
}
