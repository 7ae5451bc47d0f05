// Pieces of a comparison that can be run anywhere, in any order: each takes names and numbers and gives numbers.

import { assertNever } from "@meridian/proto/base";
import type { Policy } from "../arena/arena.ts";
import { type Measured, measure, type Span } from "../arena/measure.ts";
import type { Workload } from "../workloads/work.ts";
import { byName, demandOf, equalRttMs, fleetFor, policies, sharing } from "./contest.ts";
import { type ReplicaNeed, replicasNeeded } from "./replicas.ts";
import { largestLoad } from "./search.ts";

export type Task =
  /** The largest load at which the objective holds, for each seed. */
  | {
      readonly kind: "largest-load";
      readonly workload: string;
      readonly policy: string;
      readonly seeds: number;
      readonly span: Span;
    }
  /** One run for each seed, at that seed's load. */
  | {
      readonly kind: "at-load";
      readonly workload: string;
      readonly policy: string;
      readonly loads: readonly number[];
      /** All regions so far from each other; undefined: as the reference has them. */
      readonly rttMs: number | undefined;
      readonly span: Span;
    }
  /** Replicas for the objective, one fleet for all regions and one for each. */
  | {
      readonly kind: "replicas";
      readonly workload: string;
      readonly policy: string;
      readonly load: number;
      readonly seed: number;
      readonly span: Span;
    };

export type Answer =
  | { readonly kind: "largest-load"; readonly loads: readonly number[] }
  | { readonly kind: "at-load"; readonly measured: readonly Measured[] }
  | { readonly kind: "replicas"; readonly need: ReplicaNeed };

export function perform(task: Task, workloads: readonly Workload[]): Answer {
  const workload = byName(workloads, task.workload);
  switch (task.kind) {
    case "largest-load": {
      const loads = largestLoads(workload, byName(policies, task.policy), task);
      return { kind: task.kind, loads };
    }
    case "at-load": {
      const { rttMs, span, loads } = task;
      const policy = byName(policies, task.policy);
      const layout = fleetFor(workload, rttMs === undefined ? {} : { rttMs: equalRttMs(rttMs) });
      const measured = loads.map((load, seed) =>
        measure({ workload, policy, layout, span, demand: demandOf(seed, loads.length, load) }),
      );
      return { kind: task.kind, measured };
    }
    case "replicas": {
      const { load, seed, span } = task;
      const pair = sharing.find((each) => each.global.name === task.policy);
      if (pair === undefined) throw new Error(`${task.policy} does not share`);
      return { kind: task.kind, need: replicasNeeded({ workload, ...pair, load, seed, span }) };
    }
    default:
      return assertNever(task);
  }
}

/** Each seed's search begins where the one before ended. */
function largestLoads(
  workload: Workload,
  policy: Policy,
  { seeds, span }: { readonly seeds: number; readonly span: Span },
): readonly number[] {
  let guess = workload.guess;
  return Array.from({ length: seeds }, (_, seed) => {
    const p90 = (load: number): number =>
      measure({
        workload,
        policy,
        layout: fleetFor(workload),
        span,
        demand: demandOf(seed, seeds, load),
      }).firstTokenMs.p90;
    guess = largestLoad(p90, { guess, objective: workload.objectiveMs });
    return guess;
  });
}
