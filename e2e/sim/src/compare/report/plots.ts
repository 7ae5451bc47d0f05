// A comparison as drawings: what each policy carries, how soon first tokens come, how many replicas sharing saves.

import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { Comparison } from "../run/compare-policies.ts";
import { estimate } from "../stats/interval.ts";

export type Plot = { readonly file: string; readonly svg: string };

export async function drawComparison(comparison: Comparison): Promise<readonly Plot[]> {
  const specs = {
    "sim-throughput.svg": throughput(comparison),
    "sim-first-token.svg": firstToken(comparison),
    "sim-replicas.svg": replicas(comparison),
  };
  return Promise.all(
    Object.entries(specs).map(async ([file, spec]) => ({ file, svg: await draw(spec) })),
  );
}

function draw(spec: TopLevelSpec): Promise<string> {
  return new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
}

const bar = { axis: { labelAngle: -40 }, sort: null, title: null } as const;

function policyOrder({ workloads }: Comparison): string[] {
  return workloads[0]?.standings.map((each) => each.policy) ?? [];
}

function throughput(comparison: Comparison): TopLevelSpec {
  const values = comparison.workloads.flatMap(({ workload, standings }) =>
    standings.map(({ policy, loads }) => ({ workload, policy, ...estimate(loads) })),
  );
  const y = { type: "quantitative", title: "requests/s" } as const;
  const x = { ...bar, field: "policy", type: "nominal", sort: policyOrder(comparison) } as const;
  return {
    background: "white",
    title: "Largest load at which first tokens keep the objective (12 replicas, 95 % intervals)",
    data: { values },
    facet: { field: "workload", type: "nominal", title: null, sort: null },
    columns: 3,
    resolve: { scale: { y: "independent" } },
    spec: {
      width: 220,
      height: 150,
      layer: [
        {
          mark: "bar",
          encoding: { x, y: { ...y, field: "mean" }, color: highlight },
        },
        {
          mark: { type: "rule", strokeWidth: 1.5 },
          encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" } },
        },
      ],
    },
  };
}

const highlight = {
  condition: { test: "datum.policy === 'meridian'", value: "#2f6690" },
  value: "#a9bcd0",
} as const;

function firstToken(comparison: Comparison): TopLevelSpec {
  const values = comparison.workloads.flatMap(({ workload, objectiveMs, standings }) =>
    standings.flatMap(({ policy, measured }) =>
      (["p50", "p90", "p99"] as const).map((quantile) => {
        const { mean } = estimate(measured.map((each) => each.firstTokenMs[quantile]));
        return { workload, policy, quantile, mean, objectiveMs };
      }),
    ),
  );
  const scale = { type: "log" } as const;
  const x = { type: "quantitative", title: "ms to the first token", scale } as const;
  const y = { ...bar, field: "policy", type: "nominal", sort: policyOrder(comparison) } as const;
  return {
    background: "white",
    title: "First tokens at the load that selective pushing just bears; the line is the objective",
    data: { values },
    facet: { field: "workload", type: "nominal", title: null, sort: null },
    columns: 3,
    resolve: { scale: { x: "independent" } },
    spec: {
      width: 220,
      height: 150,
      layer: [
        {
          mark: { type: "rule", strokeDash: [4, 4], color: "#777" },
          encoding: { x: { ...x, field: "objectiveMs" } },
        },
        {
          mark: { type: "point", filled: true, size: 45, opacity: 1 },
          encoding: {
            x: { ...x, field: "mean" },
            y: { ...y, axis: {} },
            color: {
              field: "quantile",
              type: "nominal",
              title: "quantile",
              scale: { range: ["#9fc3a2", "#2f6690", "#d1495b"] },
            },
          },
        },
      ],
    },
  };
}

function replicas({ savings }: Comparison): TopLevelSpec {
  const values = savings.flatMap(({ policy, needs }) =>
    (["regional", "global"] as const).map((kind) => ({
      policy,
      kind: kind === "regional" ? "regional peaks" : "shared by all regions",
      ...estimate(needs.map((each) => each[kind])),
    })),
  );
  const x = { ...bar, axis: {}, field: "policy", type: "nominal" } as const;
  const xOffset = { field: "kind", sort: null } as const;
  const y = { type: "quantitative", title: "replicas" } as const;
  return {
    background: "white",
    title: "Replicas for the objective at every time of the day (chat)",
    width: 320,
    height: 180,
    data: { values },
    layer: [
      {
        mark: "bar",
        encoding: {
          x,
          xOffset,
          y: { ...y, field: "mean" },
          color: {
            field: "kind",
            type: "nominal",
            title: null,
            sort: null,
            scale: { range: ["#a9bcd0", "#2f6690"] },
          },
        },
      },
      {
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { x, xOffset, y: { ...y, field: "low" }, y2: { field: "high" } },
      },
    ],
  };
}
