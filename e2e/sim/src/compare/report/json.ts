// A comparison for programs, as one line of JSON.

import { holds } from "@meridian/bench/report";
import type { Measured } from "../arena/measure.ts";
import type { Comparison } from "../run/compare-policies.ts";
import { estimate } from "../stats/interval.ts";
import type { Mark } from "./marks.ts";

/** `{seeds, passed, workloads: [{workload, objectiveMs, policies: […]}], replicas: […], marks: […]}`; intervals are of the mean. */
export function comparisonAsJson(
  { seeds, workloads, savings }: Comparison,
  marks: readonly Mark[],
): string {
  return JSON.stringify({
    seeds,
    passed: marks.every(({ figure }) => holds(figure)),
    workloads: workloads.map(({ workload, objectiveMs, standings }) => ({
      workload,
      objectiveMs,
      policies: standings.map(({ policy, loads, measured }) => ({
        policy,
        requestsPerSecond: estimate(loads),
        ...measuredAsJson(measured),
      })),
    })),
    replicas: savings.map(({ policy, needs }) => ({
      policy,
      regional: estimate(needs.map((each) => each.regional)),
      global: estimate(needs.map((each) => each.global)),
    })),
    marks: marks.map(({ figure, interval, against }) => ({
      ...figure,
      low: interval.low,
      high: interval.high,
      against,
      holds: holds(figure),
    })),
  });
}

function measuredAsJson(measured: readonly Measured[]) {
  const of = (pick: (each: Measured) => number) => estimate(measured.map(pick));
  return {
    firstTokenMs: {
      p50: of((each) => each.firstTokenMs.p50),
      p90: of((each) => each.firstTokenMs.p90),
      p99: of((each) => each.firstTokenMs.p99),
    },
    meanLatencyMs: of((each) => each.meanLatencyMs),
    hitRate: of((each) => each.hitRate),
    remoteShare: of((each) => each.remoteShare),
    unfinished: of((each) => each.unfinished),
  };
}
