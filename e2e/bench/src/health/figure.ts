// One backend that fails and recovers, as a drawing: evidence, verdict and weight over time, by the real judge.

import type { Random } from "@meridian/proto/base";
import { deriveTests, healthTimes, shareOf } from "@meridian/proto/health";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { failing, fleetSize, proving, Trial } from "./detection.ts";

type Point = {
  readonly second: number;
  readonly outage: number;
  readonly failure: number;
  readonly proof: number;
  readonly share: number;
  readonly verdict: string;
};

const seconds = 180;
/** It fails from here on, and is well again from there. */
const fails = { from: 20, to: 45 } as const;

function points(random: Random): readonly Point[] {
  const trial = new Trial(random, { hasCanary: true });
  return Array.from({ length: seconds }, (_, second) => {
    const isIll = second >= fails.from && second < fails.to;
    const phase = second === 0 ? "in" : trial.health().phase;
    const takesPart = phase === "in" || phase === "returning";
    trial.pass(takesPart ? failing(10, isIll ? 0.6 : 0.01) : proving(isIll ? 0.6 : 0.01));
    const health = trial.health();
    return {
      second: second + 1,
      outage: health.signals.outage.sum,
      failure: health.signals.failure.sum,
      proof: health.phase === "proving" ? health.proof.sum : 0,
      share: shareOf(health, healthTimes, trial.seconds * 1_000),
      verdict: trial.verdict(),
    };
  });
}

/** The drawing as SVG text. */
export function drawRecovery(random: Random): Promise<string> {
  const tests = deriveTests(fleetSize);
  const values = points(random);
  const scale = { domain: [0, seconds], nice: false };
  const x = { field: "second", type: "quantitative", title: "seconds", scale } as const;
  const sum = { type: "quantitative", title: "evidence" } as const;
  const evidence = (["failure", "outage", "proof"] as const).flatMap((signal) =>
    values.map((each) => ({ second: each.second, signal, sum: each[signal] })),
  );
  const color = { field: "signal", type: "nominal", title: "test" } as const;
  const thresholds = (["failure", "outage"] as const).map((signal) => ({
    signal,
    sum: tests[signal].h,
  }));
  const domain = ["healthy", "degraded", "unhealthy"];
  const verdict = {
    field: "verdict",
    type: "nominal",
    scale: { domain, range: ["#7fbf7f", "#f2c14e", "#d1495b"] },
  } as const;
  const spec: TopLevelSpec = {
    background: "white",
    title: "A backend that fails six requests in ten from second 20 to 45",
    resolve: { scale: { color: "independent" } },
    vconcat: [
      {
        width: 640,
        height: 180,
        layer: [
          {
            data: { values: evidence },
            mark: "line",
            encoding: { x, y: { ...sum, field: "sum" }, color },
          },
          {
            data: { values: thresholds },
            mark: { type: "rule", strokeDash: [4, 4] },
            encoding: { y: { ...sum, field: "sum" }, color },
          },
        ],
      },
      {
        width: 640,
        height: 120,
        data: { values: [...values] },
        mark: { type: "area", interpolate: "step-before", color: "#7c98b3" },
        encoding: { x, y: { field: "share", type: "quantitative", title: "share of its weight" } },
      },
      {
        width: 640,
        height: 16,
        data: { values: values.map((each) => ({ ...each, from: each.second - 1 })) },
        mark: { type: "rect", strokeWidth: 0 },
        encoding: { x: { ...x, field: "from" }, x2: { field: "second" }, color: verdict },
      },
    ],
  };
  return new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
}
