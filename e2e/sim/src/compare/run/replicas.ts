// How many replicas a day's demand needs: one fleet that all regions share, against one for each region's own peak.

import type { Policy } from "../arena/arena.ts";
import { measure, type Span } from "../arena/measure.ts";
import type { Demand, Workload } from "../workloads/work.ts";
import { fleetFor, peakToTrough, shares } from "./contest.ts";

export type ReplicaNeed = {
  /** Of each region alone, summed. */
  readonly regional: number;
  readonly global: number;
};

export type ReplicaQuestion = {
  readonly workload: Workload;
  readonly global: Policy;
  readonly regional: Policy;
  /** Requests a second, in the mean over a day. */
  readonly load: number;
  readonly seed: number;
  readonly span: Span;
};

/** Times of the day at which the objective must hold for the shared fleet: each region has its peak at one of them. */
const phases = [0.25, 0.25 - 1 / 3, 0.25 - 2 / 3, 0.25 + 1 / 6, 0.25 - 1 / 6, 0.75] as const;
/** The peak of a region that stands first. */
const peakPhase = 0.25;
const replicasMax = 200;

export function replicasNeeded(question: ReplicaQuestion): ReplicaNeed {
  const alone = shares.map((share) => regionalNeed(question, share));
  const regional = alone.reduce((sum, each) => sum + each, 0);
  return { regional, global: globalNeed(question, Math.round(regional * 0.75)) };
}

/** One region by itself, at its peak. */
function regionalNeed(
  { workload, regional, load, seed, span }: ReplicaQuestion,
  share: number,
): number {
  const demand: Demand = {
    requestsPerSecond: load * share,
    durationMs: 0,
    phase: peakPhase,
    shares: [1],
    peakToTrough,
    seed: `${seed}/${share}`,
  };
  return least(Math.ceil(load * share), (count) => {
    const layout = fleetFor(workload, { replicas: [count], rttMs: [[0]] });
    const { firstTokenMs } = measure({ workload, policy: regional, layout, span, demand });
    return firstTokenMs.p90 <= workload.objectiveMs;
  });
}

/** At all times of the day, in every region. */
function globalNeed(
  { workload, global, load, seed, span }: ReplicaQuestion,
  guess: number,
): number {
  return least(guess, (count) => {
    const layout = fleetFor(workload, { replicas: spread(count) });
    return phases.every((phase) => {
      const demand: Demand = {
        requestsPerSecond: load,
        durationMs: 0,
        phase: (phase + 1) % 1,
        shares,
        peakToTrough,
        seed: `${seed}/${phase}`,
      };
      const measured = measure({ workload, policy: global, layout, span, demand });
      return measured.worstRegionP90Ms <= workload.objectiveMs;
    });
  });
}

/** By the regions' shares of the demand, by largest remainders. */
export function spread(count: number): readonly number[] {
  const wanted = shares.map((share) => share * count);
  const given = wanted.map(Math.floor);
  const rest = count - given.reduce((sum, each) => sum + each, 0);
  const order = wanted
    .map((each, region) => ({ region, remainder: each - Math.floor(each) }))
    .sort((a, b) => b.remainder - a.remainder || a.region - b.region);
  for (const { region } of order.slice(0, rest)) given[region] = (given[region] ?? 0) + 1;
  return given;
}

/** The smallest count from which on it holds, searched from a guess. */
function least(guess: number, holds: (count: number) => boolean): number {
  let count = Math.max(1, guess);
  if (holds(count)) {
    while (count > 1 && holds(count - 1)) count -= 1;
    return count;
  }
  while (count < replicasMax) {
    count += 1;
    if (holds(count)) return count;
  }
  throw new Error(`${replicasMax} replicas are not enough`);
}
