// The figures of `npm run bench:health`, each beside its bar: run lengths, detection, recovery, common cause.

import type { Random } from "@meridian/proto/base";
import { deriveTests, eventsPerFalseAlarm, signals, usualRate } from "@meridian/proto/health";
import { meanEventsToAlarm } from "@meridian/proto/stats";
import type { Figure } from "../report/figures.ts";
import { quantile } from "../report/quantile.ts";
import { failing, fleetSize, secondsToAlarm, secondsUntil, slower, Trial } from "./detection.ts";
import { badLetIn, recoveryOfGood } from "./recovery.ts";
import { measureRunLength, runLengths } from "./run-lengths.ts";

export type Effort = {
  readonly random: Random;
  /** Runs behind each mean of events. */
  readonly lengths: number;
  /** Runs behind each time. */
  readonly times: number;
  /** Proofs of a bad backend. */
  readonly proofs: number;
};

/** The reference's figures are rounded, and some are of other sums: only exact and simulated have to agree. */
const agreement = { atLeast: 0.95, atMost: 1.05 } as const;

export function runLengthFigures({ random, lengths }: Effort): readonly Figure[] {
  return runLengths.flatMap((each) => {
    const { name, target, exact, simulated } = measureRunLength(each, {
      random: random.fork(each.name),
      runs: lengths,
    });
    return [
      { name: `${name}: reference`, value: target, unit: "events" },
      { name: `${name}: exact`, value: exact, unit: "events" },
      { name: `${name}: simulated / exact`, value: simulated / exact, unit: "", ...agreement },
      { name: `${name}: reference / exact`, value: target / exact, unit: "" },
    ];
  });
}

/** The thresholds in use, and whether each keeps what the policy promises. */
export function thresholdFigures(): readonly Figure[] {
  const tests = deriveTests(fleetSize);
  return signals.flatMap((signal) => {
    const exact = meanEventsToAlarm(tests[signal], usualRate(signal));
    const promised = eventsPerFalseAlarm(signal, fleetSize);
    return [
      { name: `${signal}: alarm at`, value: tests[signal].h, unit: "" },
      { name: `${signal}: events to a false alarm`, value: exact, unit: "", atLeast: promised },
    ];
  });
}

/** D-fail with ticks of a second: requests a second, failing share, mean and p95 of the reference. */
const ticked: readonly (readonly [number, number, number, number])[] = [
  [2, 0.1, 48, 93],
  [2, 0.2, 20, 35],
  [2, 0.5, 7.6, 12],
  [2, 1, 3.8, 6],
  [10, 0.1, 10.7, 19],
  [10, 0.2, 4.7, 8],
  [10, 0.5, 2.5, 3],
  [10, 1, 2, 2],
  [50, 0.1, 3.2, 5],
  [50, 0.2, 2.1, 3],
  [50, 0.5, 2, 2],
  [50, 1, 2, 2],
];

export function tickedFigures({ random, times }: Effort): readonly Figure[] {
  const test = { p0: 0.01, p1: 0.1, h: 13.8 };
  return ticked.flatMap(([perSecond, rate, mean, p95]) => {
    const name = `${perSecond} requests/s, ${rate * 100} % failing`;
    const draws = { random: random.fork(name), runs: times };
    const seconds = secondsToAlarm(test, { perSecond, rate }, draws);
    const simulated = seconds.reduce((sum, each) => sum + each, 0) / seconds.length;
    return [
      { name: `${name}: mean, reference ${mean}`, value: simulated, unit: "s" },
      { name: `${name}: p95, reference ${p95}`, value: quantile(seconds, 0.95), unit: "s" },
    ];
  });
}

/** The whole judge, with the thresholds in use. Bars: p95. */
export function detectionFigures({ random, times }: Effort): readonly Figure[] {
  const cases = [
    ["10 % failing to degraded", "degraded", failing(10, 0.1), 20],
    ["50 % failing to degraded", "degraded", failing(10, 0.5), 3],
    ["50 % failing to unhealthy", "unhealthy", failing(10, 0.5), undefined],
    ["all failing to unhealthy", "unhealthy", failing(10, 1), 3],
    ["3 times slower to degraded", "degraded", slower(10, 3), 10],
  ] as const;
  const measured = cases.flatMap(([name, verdict, second, atMost]) => {
    const draws = { random: random.fork(name), runs: times };
    const seconds = secondsUntil(verdict, second, draws);
    const p95: Figure = { name: `${name}, p95`, value: quantile(seconds, 0.95), unit: "s" };
    return [
      { name: `${name}, p50`, value: quantile(seconds, 0.5), unit: "s" },
      atMost === undefined ? p95 : { ...p95, atMost },
    ];
  });
  const draws = { random: random.fork("never"), runs: Math.ceil(times / 20) };
  const ejected = secondsUntil("unhealthy", slower(10, 3), draws).filter(Number.isFinite).length;
  const value = ejected;
  return [
    ...measured,
    { name: "3 times slower for 10 minutes: ejected", value, unit: "", atMost: 0 },
  ];
}

export function recoveryFigures({ random, times, proofs }: Effort): readonly Figure[] {
  const draws = { random: random.fork("good"), runs: Math.ceil(times / 4) };
  const { letInSeconds, wholeSeconds } = recoveryOfGood(draws);
  const letIn = badLetIn({ random: random.fork("bad"), runs: proofs });
  return [
    { name: "a good one let in, p50", value: quantile(letInSeconds, 0.5), unit: "s" },
    { name: "a good one let in, p95", value: quantile(letInSeconds, 0.95), unit: "s", atMost: 120 },
    { name: "a good one has its whole share, p50", value: quantile(wholeSeconds, 0.5), unit: "s" },
    {
      name: "a good one has its whole share, p95",
      value: quantile(wholeSeconds, 0.95),
      unit: "s",
      atMost: 120,
    },
    { name: "a bad one (20 % failing) let in", value: letIn * 100, unit: "%", atMost: 0.2 },
  ];
}

/** What troubles a whole pool of four at once, after a good minute, takes nobody out. */
export function commonCauseFigures({ random }: Effort): readonly Figure[] {
  const pool = 4;
  const cases = [
    ["whole pool 3 times slower", slower(10, 3)],
    ["whole pool 30 % failing", failing(10, 0.3)],
    ["whole pool 80 % failing", failing(10, 0.8)],
  ] as const;
  return cases.flatMap(([name, second]) => {
    const trial = new Trial(random.fork(name), { backends: pool });
    let ejected = 0;
    let degraded = 0;
    for (let each = 0; each < 360; each++) {
      trial.pass(each < 60 ? failing(10, 0.01) : second);
      const verdicts = Array.from({ length: pool }, (_, backend) => trial.verdict(backend));
      ejected = Math.max(ejected, verdicts.filter((verdict) => verdict === "unhealthy").length);
      degraded = Math.max(degraded, verdicts.filter((verdict) => verdict === "degraded").length);
    }
    return [
      { name: `${name}: ejected`, value: ejected, unit: "", atMost: 0 },
      { name: `${name}: degraded`, value: degraded, unit: "", atLeast: pool },
    ];
  });
}
