// What is compared: policies and workloads by name, the fleet they compete on, and how long a run is.

import { type ServerSize, serverSizes } from "../../kernel/model-server.ts";
import type { Layout, Policy } from "../arena/arena.ts";
import type { Span } from "../arena/measure.ts";
import { blindPushing, gorgoCost } from "../policies/blind.ts";
import { meridian, regionalMeridian } from "../policies/meridian/meridian.ts";
import { regionalPushing, selectivePushing, waitAndWiden } from "../policies/selective.ts";
import { simplePolicies } from "../policies/simple.ts";
import { generatedWorkloads } from "../workloads/generated.ts";
import { recordedWorkload } from "../workloads/recorded.ts";
import { blockTokens, type Demand, type Workload } from "../workloads/work.ts";

/** In the order in which they are shown. */
export const policies: readonly Policy[] = [
  ...simplePolicies,
  blindPushing,
  selectivePushing,
  waitAndWiden,
  gorgoCost,
  meridian,
];

/** Every region for itself, beside the policy of the same decisions that shares. */
export const sharing = [
  { global: selectivePushing, regional: regionalPushing },
  { global: meridian, regional: regionalMeridian },
] as const;

export const simpleNames: readonly string[] = simplePolicies.map((each) => each.name);

/** The kernel's servers with finer blocks, and without a bound on their queues: one that grows shows in the times. */
function sizeOf(name: keyof typeof serverSizes): ServerSize {
  const size = serverSizes[name];
  const kvBlocks = (size.kvBlocks * size.blockTokens) / blockTokens;
  return { ...size, kvBlocks, blockTokens, queueMax: Number.POSITIVE_INFINITY };
}

/** Virginia, Ireland, Mumbai. */
export const referenceRttMs = [
  [0, 80, 150],
  [80, 0, 210],
  [150, 210, 0],
] as const;

export function equalRttMs(ms: number): Layout["rttMs"] {
  return referenceRttMs.map((row, from) => row.map((_, to) => (from === to ? 0 : ms)));
}

/** Four replicas in each of three regions, as in SkyWalker's evaluation, unless more is said. */
export function fleetFor({ server }: Workload, more: Partial<Layout> = {}): Layout {
  return { replicas: [4, 4, 4], rttMs: referenceRttMs, size: sizeOf(server), ...more };
}

/** Skewed, and with a tide: the regions' peaks are eight hours apart. */
export const shares = [0.4, 0.3, 0.3] as const;
export const peakToTrough = 4;

export type Effort = {
  readonly seeds: number;
  readonly span: Span;
};

export const fullEffort: Effort = {
  seeds: 10,
  span: { warmUpMs: 60_000, countedMs: 120_000, drainMs: 30_000 },
};

export const shortEffort: Effort = {
  seeds: 2,
  span: { warmUpMs: 20_000, countedMs: 40_000, drainMs: 20_000 },
};

/** Seeds begin at different times of the day. */
export function demandOf(seed: number, seeds: number, requestsPerSecond: number): Demand {
  return {
    requestsPerSecond,
    durationMs: 0,
    phase: (seed + 0.5) / seeds,
    shares,
    peakToTrough,
    seed: `${seed}`,
  };
}

/** Generated ones, then one for each trace. */
export function workloadsWith(traces: readonly string[]): readonly Workload[] {
  return [...generatedWorkloads, ...traces.map(recordedWorkload)];
}

export function byName<T extends { readonly name: string }>(list: readonly T[], name: string): T {
  const found = list.find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}
