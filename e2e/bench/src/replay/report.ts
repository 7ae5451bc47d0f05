// The figures of a replay, per region of the client and for all.

import type { Answer, Run } from "./run.ts";

export type Percentiles = { readonly p50: number; readonly p90: number; readonly p99: number };

export type RegionFigures = {
  readonly region: string;
  readonly requests: number;
  readonly answered: number;
  /** Answered by another region's backends. */
  readonly elsewhere: number;
  /** Clients that went to another region's proxy, because their own was gone. */
  readonly detours: number;
  readonly firstTokenMs: Percentiles;
  readonly totalMs: Percentiles;
};

export type Report = {
  readonly scenario: string;
  readonly killed: readonly string[];
  readonly seconds: number;
  readonly regions: readonly RegionFigures[];
  readonly failed: number;
  /** Mid-stream on a killed process. */
  readonly excused: number;
  readonly causes: { readonly [cause: string]: number };
};

export function report(run: Run): Report {
  const homes = [...new Set(run.answers.map((each) => each.home))];
  const failures = run.answers.filter((each) => each.outcome.kind !== "answered");
  const causes: { [cause: string]: number } = {};
  for (const { outcome, isExcused } of failures) {
    if (outcome.kind === "answered") continue;
    const cause = `${outcome.cause}${isExcused ? " (on a killed process)" : ""}`;
    causes[cause] = (causes[cause] ?? 0) + 1;
  }
  const excused = failures.filter((each) => each.isExcused).length;
  const regions = homes.map((home) =>
    figures(
      home,
      run.answers.filter((each) => each.home === home),
    ),
  );
  return {
    scenario: run.scenario,
    killed: run.killed,
    seconds: run.seconds,
    regions: [...regions, figures("all", run.answers)],
    failed: failures.length - excused,
    excused,
    causes,
  };
}

function figures(region: string, answers: readonly Answer[]): RegionFigures {
  const good = answers.flatMap(({ outcome, home }) =>
    outcome.kind === "answered" ? [{ ...outcome, home }] : [],
  );
  return {
    region,
    requests: answers.length,
    answered: good.length,
    elsewhere: good.filter((each) => each.by.region !== each.home).length,
    detours: answers.filter((each) => each.detours > 0).length,
    firstTokenMs: percentiles(good.map((each) => each.firstTokenMs)),
    totalMs: percentiles(good.map((each) => each.totalMs)),
  };
}

/** Nearest rank. Zeros when there is nothing. */
export function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { p50: rank(0.5), p90: rank(0.9), p99: rank(0.99) };
}

/** For people. */
export function showReport(each: Report): string {
  const killed = each.killed.length === 0 ? "nothing killed" : `killed: ${each.killed.join(", ")}`;
  const header =
    "clients of  requests  answered  elsewhere  detours  first token p50/p90/p99 ms    total p50/p90/p99 ms";
  const rows = each.regions.map((row) =>
    [
      row.region.padEnd(10),
      String(row.requests).padStart(9),
      String(row.answered).padStart(9),
      String(row.elsewhere).padStart(10),
      String(row.detours).padStart(8),
      `  ${showPercentiles(row.firstTokenMs).padStart(27)}`,
      `  ${showPercentiles(row.totalMs).padStart(22)}`,
    ].join(" "),
  );
  const causes = Object.entries(each.causes).map(([cause, count]) => `  ${count} × ${cause}`);
  return [
    `${each.scenario}: ${killed}; ${each.seconds.toFixed(1)} s`,
    header,
    ...rows,
    `failed: ${each.failed}; mid-stream on a killed process: ${each.excused}`,
    ...causes,
  ].join("\n");
}

function showPercentiles({ p50, p90, p99 }: Percentiles): string {
  return [p50, p90, p99].map((each) => each.toFixed(0)).join(" / ");
}
