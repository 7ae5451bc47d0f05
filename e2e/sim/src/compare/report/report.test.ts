// Marks, table and JSON from figures that are easy to check.

import { expect, test } from "vitest";
import type { Measured } from "../arena/measure.ts";
import type { Comparison, Standing } from "../run/compare-policies.ts";
import { policies } from "../run/contest.ts";
import { comparisonAsJson } from "./json.ts";
import { marksOf } from "./marks.ts";
import { formatComparison, formatMarks } from "./table.ts";

function measured(latencyMs: number, p99: number): Measured {
  return {
    requests: 100,
    offeredPerSecond: 1,
    answeredPerSecond: 1,
    firstTokenMs: { p50: 100, p90: 500, p99 },
    worstRegionP90Ms: 600,
    meanFirstTokenMs: 200,
    meanLatencyMs: latencyMs,
    hitRate: 0.5,
    remoteShare: 0.1,
    unfinished: 0,
    lost: 0,
  };
}

/** Two seeds: what each carries, and how long its answers take. */
const carried: { readonly [policy: string]: readonly [number, number] } = {
  "round-robin": [10, 8_000],
  "least-load": [12, 5_000],
  "consistent-hash": [14, 4_000],
  "prefix-only": [9, 6_000],
  "selective-pushing": [15, 4_000],
  meridian: [18, 3_000],
};

function comparison(): Comparison {
  const standings = policies.map(({ name }): Standing => {
    const [load, latencyMs] = carried[name] ?? [11, 5_000];
    const runs = [measured(latencyMs, 900), measured(latencyMs * 1.1, 900)];
    return { policy: name, loads: [load, load * 1.1], measured: runs, beside: runs };
  });
  const far = { rttMs: 150, selective: [measured(1, 1_000)], ours: [measured(1, 800)] };
  return {
    seeds: 2,
    workloads: [{ workload: "chat", objectiveMs: 2_000, isGenerated: true, standings, far: [far] }],
    savings: [{ policy: "meridian", needs: [{ regional: 20, global: 15 }] }],
  };
}

test("marks are ratios to the weakest, the slowest, the best, and to regional peaks", () => {
  const marks = marksOf(comparison()).map(({ figure, against }) => [
    figure.name,
    Number(figure.value.toFixed(3)),
    against,
  ]);
  expect(marks).toEqual(
    expect.arrayContaining([
      ["chat: selective-pushing carries more than the weakest", 1.667, "prefix-only"],
      ["chat: selective-pushing answers sooner than the slowest", 2, "round-robin"],
      ["chat: selective-pushing carries more than the best simple one", 1.071, "consistent-hash"],
      ["selective-pushing carries 1.05 × the best simple one: workloads", 1, ""],
      ["chat: meridian carries more than the weakest", 2, "prefix-only"],
      ["chat: meridian answers sooner than the slowest", 2.667, "round-robin"],
      ["chat: meridian carries as much as selective-pushing", 1.2, "selective-pushing"],
      ["chat: first token p99 of meridian at 150 ms", 0.8, "selective-pushing"],
      ["replicas that meridian needs, of those that regional peaks need", 75, "regional peaks"],
    ]),
  );
});

test("the table names every policy, a mark that is missed says so, and the JSON has both", () => {
  const made = comparison();
  const marks = marksOf(made);
  const table = formatComparison(made);
  for (const { name } of policies) expect(table).toContain(name);
  expect(table).toMatch(/meridian +18\.9 ± /);
  expect(formatMarks(marks)).toMatch(/1\.05 × the best.*1\.00.*at least 3: FALLS SHORT/);
  const json = JSON.parse(comparisonAsJson(made, marks));
  expect(json).toMatchObject({ seeds: 2, passed: false });
  expect(json.workloads[0].policies).toHaveLength(policies.length);
  expect(json.marks).toHaveLength(marks.length);
});
