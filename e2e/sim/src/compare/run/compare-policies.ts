// The whole comparison: for each workload what every policy carries, how it fares at one load, how distance tells, and how
// many replicas sharing saves.

import type { Measured } from "../arena/measure.ts";
import { generatedWorkloads } from "../workloads/generated.ts";
import type { Workload } from "../workloads/work.ts";
import { type Effort, policies, sharing, simpleNames } from "./contest.ts";
import type { Crew } from "./crew.ts";
import type { ReplicaNeed } from "./replicas.ts";
import type { Answer, Task } from "./tasks.ts";

/** One policy on one workload. By seed. */
export type Standing = {
  readonly policy: string;
  /** The largest load at which the objective holds, in requests a second in the mean over a day. */
  readonly loads: readonly number[];
  /** At the load that selective pushing just bears. */
  readonly measured: readonly Measured[];
  /** At the load that ours just bears; of the simple ones and ours alone. */
  readonly beside: readonly Measured[];
};

export type Far = {
  readonly rttMs: number;
  /** Selective pushing, and ours. By seed. */
  readonly selective: readonly Measured[];
  readonly ours: readonly Measured[];
};

export type WorkloadResult = {
  readonly workload: string;
  readonly objectiveMs: number;
  readonly isGenerated: boolean;
  readonly standings: readonly Standing[];
  readonly far: readonly Far[];
};

export type Saving = { readonly policy: string; readonly needs: readonly ReplicaNeed[] };

export type Comparison = {
  readonly seeds: number;
  readonly workloads: readonly WorkloadResult[];
  readonly savings: readonly Saving[];
};

export const selectiveName = "selective-pushing";
export const oursName = "meridian";

/** All regions so far from each other. */
const farRttMs = [150, 210] as const;
/** The day whose replicas are counted: this workload at so many requests a second, in the mean. */
const savingsOf = { workload: "chat", load: 24 } as const;

export async function comparePolicies(
  crew: Crew,
  workloads: readonly Workload[],
  effort: Effort,
): Promise<Comparison> {
  const savings = countSavings(crew, effort);
  const results = workloads.map((each) => compareOn(crew, each, effort));
  return {
    seeds: effort.seeds,
    workloads: await Promise.all(results),
    savings: await savings,
  };
}

async function compareOn(
  crew: Crew,
  { name: workload, objectiveMs }: Workload,
  { seeds, span }: Effort,
): Promise<WorkloadResult> {
  const loads = await Promise.all(
    policies.map(async ({ name: policy }) => {
      const answer = await ask(crew, { kind: "largest-load", workload, policy, seeds, span });
      return { policy, loads: answer.loads };
    }),
  );
  const of = (name: string) => loads.find((each) => each.policy === name)?.loads ?? [];
  const common = of(selectiveName);
  type At = { readonly loads: readonly number[]; readonly rttMs?: number };
  const at = async (policy: string, where: At): Promise<readonly Measured[]> => {
    const task = { kind: "at-load", workload, policy, rttMs: undefined, ...where, span } as const;
    return (await ask(crew, task)).measured;
  };
  const standings = loads.map(async (each): Promise<Standing> => {
    const isBeside = [...simpleNames, oursName].includes(each.policy);
    return {
      ...each,
      measured: await at(each.policy, { loads: common }),
      beside: isBeside ? await at(each.policy, { loads: of(oursName) }) : [],
    };
  });
  const far = farRttMs.map(async (rttMs) => ({
    rttMs,
    selective: await at(selectiveName, { loads: common, rttMs }),
    ours: await at(oursName, { loads: common, rttMs }),
  }));
  return {
    workload,
    objectiveMs,
    isGenerated: generatedWorkloads.some((each) => each.name === workload),
    standings: await Promise.all(standings),
    far: await Promise.all(far),
  };
}

function countSavings(crew: Crew, { seeds, span }: Effort): Promise<readonly Saving[]> {
  return Promise.all(
    sharing.map(async ({ global }) => {
      const needs = Array.from({ length: seeds }, async (_, seed) => {
        const task = { kind: "replicas", policy: global.name, ...savingsOf, seed, span } as const;
        return (await ask(crew, task)).need;
      });
      return { policy: global.name, needs: await Promise.all(needs) };
    }),
  );
}

type AnswerOf<K extends Answer["kind"]> = Extract<Answer, { readonly kind: K }>;

async function ask<K extends Task["kind"]>(
  crew: Crew,
  task: Extract<Task, { readonly kind: K }>,
): Promise<AnswerOf<K>> {
  const answer = await crew.work(task);
  if (isOf(answer, task.kind)) return answer;
  throw new Error(`a ${task.kind} was asked for, and a ${answer.kind} answered`);
}

function isOf<K extends Answer["kind"]>(answer: Answer, kind: K): answer is AnswerOf<K> {
  return answer.kind === kind;
}
