// The pass marks of the reference (4.4), each as a figure beside its bar. Ratios are means over seeds, paired by seed.

import type { Figure } from "@meridian/bench/report";
import type { Measured } from "../arena/measure.ts";
import {
  type Comparison,
  oursName,
  type Saving,
  type Standing,
  selectiveName,
  type WorkloadResult,
} from "../run/compare-policies.ts";
import { simpleNames } from "../run/contest.ts";
import { type Estimate, estimate, estimateRatio } from "../stats/interval.ts";

/** A figure with what is known of it: the interval, and beside whom it stands. */
export type Mark = {
  readonly figure: Figure;
  readonly interval: Estimate;
  readonly against: string;
};

/** SkyWalker's gains over the weakest of the simple baselines (arXiv 2505.24095): the least that it claims. */
const gain = { throughput: 1.12, latency: 1.74 } as const;

export function marksOf(comparison: Comparison): readonly Mark[] {
  const { workloads, savings } = comparison;
  const generated = workloads.filter((each) => each.isGenerated);
  return [
    ...generated.flatMap((each) => overWeakest(each, selectiveName)),
    ...overBest(generated),
    ...generated.flatMap((each) => overWeakest(each, oursName)),
    ...workloads.map(oursBesideSelective),
    ...workloads.flatMap(oursAbroad),
    ...savings.map(savingOf),
  ];
}

function overWeakest(result: WorkloadResult, name: string): readonly Mark[] {
  const own = standing(result, name);
  const simple = simpleNames.map((each) => standing(result, each));
  const weakest = lowest(simple, (each) => estimate(each.loads).mean);
  const pick = name === oursName ? "beside" : "measured";
  const slowest = lowest(simple, (each) => -estimate(latencies(each[pick])).mean);
  const latest = lowest(simple, (each) => -estimate(firsts(each[pick])).mean);
  return [
    mark(
      `${result.workload}: ${name} carries more than the weakest`,
      { interval: estimateRatio(own.loads, weakest.loads), against: weakest.policy },
      { unit: "×", atLeast: gain.throughput },
    ),
    mark(
      `${result.workload}: ${name} answers sooner than the slowest`,
      {
        interval: estimateRatio(latencies(slowest[pick]), latencies(own[pick])),
        against: slowest.policy,
      },
      { unit: "×", atLeast: gain.latency },
    ),
    mark(
      `${result.workload}: ${name} begins sooner than the slowest`,
      { interval: estimateRatio(firsts(latest[pick]), firsts(own[pick])), against: latest.policy },
      { unit: "×" },
    ),
  ];
}

/** Selective pushing against the best of the simple ones, on at least three of the four. */
function overBest(generated: readonly WorkloadResult[]): readonly Mark[] {
  const each = generated.map((result) => {
    const simple = simpleNames.map((name) => standing(result, name));
    const best = lowest(simple, (one) => -estimate(one.loads).mean);
    const interval = estimateRatio(standing(result, selectiveName).loads, best.loads);
    const name = `${result.workload}: ${selectiveName} carries more than the best simple one`;
    return mark(name, { interval, against: best.policy }, { unit: "×" });
  });
  const count = each.filter(({ figure }) => figure.value >= 1.05).length;
  const interval = { mean: count, low: Number.NaN, high: Number.NaN };
  const name = `${selectiveName} carries 1.05 × the best simple one: workloads`;
  return [...each, mark(name, { interval, against: "" }, { unit: "", atLeast: 3 })];
}

function oursBesideSelective(result: WorkloadResult): Mark {
  const loads = [oursName, selectiveName].map((name) => standing(result, name).loads);
  const interval = estimateRatio(loads[0] ?? [], loads[1] ?? []);
  const name = `${result.workload}: ${oursName} carries as much as ${selectiveName}`;
  return mark(name, { interval, against: selectiveName }, { unit: "×", atLeast: 0.95 });
}

/** First token p99 where every other region is far. */
function oursAbroad(result: WorkloadResult): readonly Mark[] {
  return result.far.map(({ rttMs, selective, ours }) => {
    const interval = estimateRatio(p99s(ours), p99s(selective));
    const name = `${result.workload}: first token p99 of ${oursName} at ${rttMs} ms`;
    return mark(name, { interval, against: selectiveName }, { unit: "×", atMost: 1 });
  });
}

function savingOf({ policy, needs }: Saving): Mark {
  const interval = estimate(needs.map((each) => (100 * each.global) / each.regional));
  const name = `replicas that ${policy} needs, of those that regional peaks need`;
  return mark(name, { interval, against: "regional peaks" }, { unit: "%", atMost: 80 });
}

function mark(
  name: string,
  known: { readonly interval: Estimate; readonly against: string },
  bar: Omit<Figure, "name" | "value">,
): Mark {
  return { figure: { name, value: known.interval.mean, ...bar }, ...known };
}

export function standing({ standings }: WorkloadResult, name: string): Standing {
  const found = standings.find((each) => each.policy === name);
  if (found === undefined) throw new Error(`${name} took no part`);
  return found;
}

function lowest(list: readonly Standing[], cost: (each: Standing) => number): Standing {
  const [first] = [...list].sort((a, b) => cost(a) - cost(b));
  if (first === undefined) throw new Error("nobody took part");
  return first;
}

/** Mean time to the whole answer. */
function latencies(measured: readonly Measured[]): readonly number[] {
  return measured.map((each) => each.meanLatencyMs);
}

/** Mean time to the first token. */
function firsts(measured: readonly Measured[]): readonly number[] {
  return measured.map((each) => each.meanFirstTokenMs);
}

function p99s(measured: readonly Measured[]): readonly number[] {
  return measured.map((each) => each.firstTokenMs.p99);
}
