// The figures of real faults, each beside what the simulation of the same cores says.

import type { Random } from "@meridian/proto/base";
import type { Figure } from "../report/figures.ts";
import { quantile } from "../report/quantile.ts";
import type { FaultRun } from "./real/fault-run.ts";
import { hardKill, type RealFault, threeTimesSlower, wrongAnswers } from "./real/faults.ts";
import type { ClientError } from "./real/load.ts";
import type { RealRuns } from "./real/real-runs.ts";
import { type Noticed, noticed } from "./region-trial.ts";

/** Simulated from the fault on, waits for reports and ticks included; seconds. */
export type SimulatedFault = {
  readonly ejectedP95: number;
  readonly mean: number;
  readonly p95: number;
};

/** What p95 must be, in seconds. */
const p95Max: { readonly [model: string]: number } = { kill: 3, half: 3, tenth: 20 };
/** A real run may take so many times what the simulation says. */
const realFactor = 2;
const ejectedSecondsMax = 1;
const backSecondsMax = 120;

export function simulateFault(
  { model, trouble, wanted }: RealFault,
  {
    fleet,
    random,
    runs,
  }: { readonly fleet: number; readonly random: Random; readonly runs: number },
): SimulatedFault | undefined {
  if (trouble === undefined) return undefined;
  const trials = Array.from({ length: runs }, (_, run) =>
    noticed({ fleet, trouble, random: random.fork(`${model} ${run}`) }, wanted),
  );
  const secondsOf = (of: (each: Noticed) => number) => trials.map((each) => of(each) / 1_000);
  const seconds = secondsOf((each) => (wanted === "degraded" ? each.degradedMs : each.unhealthyMs));
  return {
    // Where the verdict is quicker than a fast path, that one has nothing to do any more.
    ejectedP95: quantile(
      secondsOf((each) => Math.min(each.ejectedMs, each.unhealthyMs)),
      0.95,
    ),
    mean: seconds.reduce((sum, each) => sum + each, 0) / seconds.length,
    p95: quantile(seconds, 0.95),
  };
}

/** `simulated`: of each fault; undefined: the simulation does not have it. */
export function realFigures(
  real: RealRuns,
  simulated: (fault: RealFault) => SimulatedFault | undefined,
): readonly Figure[] {
  return [
    ...real.faults.flatMap(({ fault, runs }) => [
      ...noticedFigures(fault, runs, simulated(fault)),
      ...backFigures(fault, runs),
      ...errorFigures(
        fault.name,
        runs.flatMap((each) => each.errors),
        requestsOf(runs),
      ),
    ]),
    ...wholePoolFigures(real),
    ...withoutControlFigures(real),
    ...errorFigures("all pools, all the time", real.errors, real.requests),
  ];
}

function noticedFigures(
  fault: RealFault,
  met: readonly FaultRun[],
  simulated: SimulatedFault | undefined,
): readonly Figure[] {
  const { name, wanted, model } = fault;
  const times = met.map((each) => (wanted === "degraded" ? each.degradedMs : each.unhealthyMs));
  const title = `${name} to ${wanted}`;
  const limit = p95Max[model];
  const shown: Figure[] = [];
  if (simulated !== undefined) {
    shown.push({
      name: `${title}, simulated with all waits: mean`,
      value: simulated.mean,
      unit: "s",
    });
    const p95: Figure = {
      name: `${title}, simulated with all waits: p95`,
      value: simulated.p95,
      unit: "s",
    };
    shown.push(limit === undefined ? p95 : { ...p95, atMost: limit });
  }
  shown.push(...spread(`${title}, real`, times, realFactor * (simulated?.p95 ?? Number.NaN)));
  if (model === hardKill.model) shown.push(...ejectionFigures(name, met, simulated));
  if (model === threeTimesSlower.model) {
    const ejected = met.filter((each) => each.ejectedMs.length > 0 || each.unhealthyMs > 0);
    shown.push({ name: `${name}: ever ejected`, value: ejected.length, unit: "runs", atMost: 0 });
  } else if (wanted === "degraded" && model !== wrongAnswers.model) {
    const out = met.filter((each) => each.unhealthyMs > 0);
    shown.push({ name: `${name}: runs in which it was taken out`, value: out.length, unit: "" });
    if (out.length > 0) {
      shown.push(
        ...spread(
          `${name} to unhealthy, real`,
          out.map((each) => each.unhealthyMs),
        ),
      );
    }
  }
  return shown;
}

function ejectionFigures(
  name: string,
  met: readonly FaultRun[],
  simulated: SimulatedFault | undefined,
): readonly Figure[] {
  const keptOut = (proxy: number) =>
    met.map((each) =>
      Math.min(each.ejectedMs[proxy] ?? Number.POSITIVE_INFINITY, each.unhealthyMs),
    );
  return [
    {
      name: `${name} to a proxy's ejection, simulated: p95`,
      value: simulated?.ejectedP95 ?? Number.NaN,
      unit: "s",
      atMost: ejectedSecondsMax,
    },
    ...spread(`${name} to the first proxy's ejection, real`, keptOut(0), ejectedSecondsMax),
    ...spread(`${name} to the second proxy's ejection, real`, keptOut(1)),
  ];
}

/** Those of the runs that got so far. */
function backFigures({ name }: RealFault, met: readonly FaultRun[]): readonly Figure[] {
  const timesOf = (of: (each: FaultRun) => number) =>
    met.map(of).filter((each) => !Number.isNaN(each));
  const letIn = timesOf((each) => each.letInMs);
  const whole = timesOf((each) => each.wholeMs);
  return [
    ...(letIn.length === 0 ? [] : spread(`${name}, well again, to let in`, letIn, backSecondsMax)),
    ...(whole.length === 0
      ? []
      : spread(`${name}, well again, to its whole share`, whole, backSecondsMax)),
  ];
}

function wholePoolFigures({ wholePool }: RealRuns): readonly Figure[] {
  if (wholePool === undefined) return [];
  const { backends, degradedMs, ejected, errors, requests } = wholePool;
  const name = "whole pool 3 times slower";
  return [
    { name: `${name}: degraded, real`, value: degradedMs.length, unit: "", atLeast: backends },
    ...spread(`${name} to degraded, real`, degradedMs),
    { name: `${name}: ejected, real`, value: ejected, unit: "", atMost: 0 },
    ...errorFigures(name, errors, requests),
  ];
}

function withoutControlFigures({ withoutControl }: RealRuns): readonly Figure[] {
  if (withoutControl === undefined) return [];
  const { errors, requests, ...times } = withoutControl;
  const one = (name: string, ms: number, atMost?: number): Figure => {
    const figure = { name: `control plane gone: ${name}`, value: ms / 1_000, unit: "s" };
    return atMost === undefined ? figure : { ...figure, atMost };
  };
  return [
    one("its word still held, killed to ejected by both", times.heldEjectedMs, 2),
    one("its word still held, started to back at both", times.heldBackMs, backSecondsMax),
    one("to judging alone", times.aloneMs, 20),
    one("alone, killed to kept out by both", times.keptOutMs, 3),
    one("alone, killed to unhealthy at both", times.unhealthyMs, 6),
    one("alone, started to let in by both", times.backMs, backSecondsMax),
    ...errorFigures("control plane gone", errors, requests),
  ];
}

/** Only what comes before the first token can be mended by asking another backend. */
function errorFigures(
  name: string,
  errors: readonly ClientError[],
  requests: number,
): readonly Figure[] {
  const count = (kind: ClientError["kind"]) => errors.filter((each) => each.kind === kind).length;
  const shown: Figure[] = [
    { name: `${name}: requests of clients`, value: requests, unit: "" },
    { name: `${name}: errors before the first token`, value: count("before"), unit: "", atMost: 0 },
    { name: `${name}: streams that broke after it`, value: count("after"), unit: "" },
  ];
  const empty = count("empty");
  if (empty > 0) shown.push({ name: `${name}: answers without a word`, value: empty, unit: "" });
  return shown;
}

function requestsOf(met: readonly FaultRun[]): number {
  return met.reduce((sum, each) => sum + each.requests, 0);
}

/** Least, middle and most of the runs, in seconds; the bar is the worst one's. */
function spread(name: string, timesMs: readonly number[], atMost?: number): readonly Figure[] {
  const seconds = timesMs.map((each) => each / 1_000);
  // Math.max of a NaN is NaN, which holds no bar.
  const worst = {
    name: `${name}: worst of ${seconds.length}`,
    value: Math.max(...seconds),
    unit: "s",
  };
  return [
    { name: `${name}: best`, value: Math.min(...seconds), unit: "s" },
    { name: `${name}: middle`, value: quantile(seconds, 0.5), unit: "s" },
    atMost === undefined || Number.isNaN(atMost)
      ? worst
      : { ...worst, atMost: Number(atMost.toPrecision(3)) },
  ];
}
