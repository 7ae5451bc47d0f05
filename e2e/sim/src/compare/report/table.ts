// A comparison for people: one table for each workload, and the marks.

import { type Figure, holds } from "@meridian/bench/report";
import type { Measured } from "../arena/measure.ts";
import type { Comparison, Standing, WorkloadResult } from "../run/compare-policies.ts";
import { type Estimate, estimate } from "../stats/interval.ts";
import type { Mark } from "./marks.ts";

const header = [
  "policy",
  "carries/s",
  "first token p50",
  "p90",
  "p99 ms",
  "answer s",
  "cache hits",
  "abroad",
];

export function formatComparison({ workloads, savings, seeds }: Comparison): string {
  const tables = workloads.map(formatWorkload);
  const replicas = savings.map(({ policy, needs }) => {
    const global = estimate(needs.map((each) => each.global)).mean;
    const regional = estimate(needs.map((each) => each.regional)).mean;
    return [policy, regional.toFixed(1), global.toFixed(1)];
  });
  const rows = align([["replicas", "regional peaks", "shared"], ...replicas]);
  const note = `${seeds} seeds; ± is half of the 95 % interval of the mean (Student's t)`;
  return [...tables, [...rows, note].join("\n")].join("\n\n");
}

function formatWorkload({ workload, objectiveMs, standings }: WorkloadResult): string {
  const title = `${workload}: first token p90 within ${objectiveMs} ms; times at the load that selective pushing just bears`;
  return [title, ...align([header, ...standings.map(rowOf)])].join("\n");
}

function rowOf({ policy, loads, measured }: Standing): readonly string[] {
  const of = (pick: (each: Measured) => number): Estimate => estimate(measured.map(pick));
  return [
    policy,
    around(estimate(loads), 1),
    around(of((each) => each.firstTokenMs.p50)),
    around(of((each) => each.firstTokenMs.p90)),
    around(of((each) => each.firstTokenMs.p99)),
    around(
      of((each) => each.meanLatencyMs / 1_000),
      1,
    ),
    around(
      of((each) => each.hitRate),
      2,
    ),
    around(
      of((each) => each.remoteShare),
      2,
    ),
  ];
}

/** One line for each mark: value, interval, bar, whether it holds, against whom. */
export function formatMarks(marks: readonly Mark[]): string {
  const rows = marks.map(({ figure, interval, against }) => [
    figure.name,
    `${figure.value.toFixed(2)} ${figure.unit}`.trim(),
    Number.isNaN(interval.low) ? "" : `${interval.low.toFixed(2)} to ${interval.high.toFixed(2)}`,
    barOf(figure),
    against,
  ]);
  return ["marks", ...align(rows)].join("\n");
}

function barOf(figure: Figure): string {
  const { atLeast, atMost } = figure;
  if (atLeast === undefined && atMost === undefined) return "";
  const bar = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  return `${bar}: ${holds(figure) ? "holds" : "FALLS SHORT"}`;
}

function around({ mean, low }: Estimate, digits = 0): string {
  return Number.isNaN(low)
    ? mean.toFixed(digits)
    : `${mean.toFixed(digits)} ± ${(mean - low).toFixed(digits)}`;
}

function align(rows: readonly (readonly string[])[]): readonly string[] {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  );
  return rows.map((row) => {
    const cells = row.map((cell, at) => cell.padEnd(widths[at] ?? 0));
    return `  ${cells.join("  ")}`.trimEnd();
  });
}
