// Which tests a backend's health rests on, and their thresholds: derived from the number of false alarms that an operator
// accepts and from the size of the fleet. Sources: the five tests and their rates are ADR 0006's.

import { type CusumTest, cusumThreshold, meanEventsToAlarm, tickGainMax } from "../stats/index.ts";

/**
 * What is watched. failure, slow and wrong degrade; outage (of requests) and probe (of active ones) make unhealthy.
 */
export const signals = ["failure", "slow", "wrong", "outage", "probe"] as const;
export type Signal = (typeof signals)[number];

export type HealthTests = { readonly [S in Signal]: CusumTest };

/** What the thresholds are derived from. */
export type FleetSize = {
  readonly backends: number;
  /** Spurious verdicts "unhealthy" that the whole fleet may have in 30 days. */
  readonly falseAlarmsPerMonth: number;
};

/** The rates that each test tells apart, and what a healthy backend shows: the rate at which false alarms are counted. */
const rates: { readonly [S in Signal]: { p0: number; p1: number; usual: number } } = {
  failure: { p0: 0.01, p1: 0.1, usual: 0.01 },
  // By construction: a wait is slow when it is longer than 95 % of its kind.
  slow: { p0: 0.05, p1: 0.25, usual: 0.05 },
  wrong: { p0: 0.002, p1: 0.05, usual: 0.002 },
  outage: { p0: 0.1, p1: 0.5, usual: 0.01 },
  probe: { p0: 0.1, p1: 0.6, usual: 0.01 },
};

/** The rate of bad events that a healthy backend shows: false alarms are promised at it. */
export function usualRate(signal: Signal): number {
  return rates[signal].usual;
}

/** Events of a busy backend per second, by which months are turned into events: requests, canaries, probes of two proxies. */
export const eventsPerSecond: { readonly [S in Signal]: number } = {
  failure: 10,
  slow: 10,
  outage: 10,
  wrong: 0.2,
  probe: 2,
};

/** A false "degraded" costs half of one backend for a minute: more of them are accepted. */
export const degradedPerUnhealthy = 30;

const monthSeconds = 30 * 86_400;

/** Above what one tick can add: a single burst is never enough. */
const thresholdMin = tickGainMax + 0.5;

/** What was derived last: most policies that follow each other have fleets of the same size. */
const derived = new Map<string, HealthTests>();
const derivedMax = 16;

/**
 * The thresholds for a fleet. Costs about 15 ms for a size that was not asked for lately.
 *
 * @example deriveTests({ backends: 60, falseAlarmsPerMonth: 1 }).failure.h // 14.4
 */
export function deriveTests(fleet: FleetSize): HealthTests {
  const key = `${fleet.backends} ${fleet.falseAlarmsPerMonth}`;
  const known = derived.get(key);
  if (known !== undefined) return known;
  const tests = deriveAll(fleet);
  if (derived.size >= derivedMax) derived.clear();
  derived.set(key, tests);
  return tests;
}

function deriveAll(fleet: FleetSize): HealthTests {
  return {
    failure: derive("failure", fleet),
    slow: derive("slow", fleet),
    wrong: derive("wrong", fleet),
    outage: derive("outage", fleet),
    probe: derive("probe", fleet),
  };
}

/** Mean events of the fleet between two false alarms of this signal that are accepted. */
export function eventsPerFalseAlarm(signal: Signal, fleet: FleetSize): number {
  const isGrave = signal === "outage" || signal === "probe";
  const alarms = fleet.falseAlarmsPerMonth * (isGrave ? 1 : degradedPerUnhealthy);
  return (fleet.backends * eventsPerSecond[signal] * monthSeconds) / alarms;
}

function derive(signal: Signal, fleet: FleetSize): CusumTest {
  const { p0, p1, usual } = rates[signal];
  const events = eventsPerFalseAlarm(signal, fleet);
  // e^h is a bound on the safe side at p0; the exact mean finds the least h that keeps the promise at the usual rate.
  let low = thresholdMin;
  let high = Math.max(low, cusumThreshold(events) + 4);
  for (let halving = 0; halving < 12; halving++) {
    const h = (low + high) / 2;
    if (meanEventsToAlarm({ p0, p1, h }, usual) < events) low = h;
    else high = h;
  }
  // Rounded up: a tenth more is still safe, and people can remember it.
  return { p0, p1, h: Math.ceil(high * 10) / 10 };
}

const commonFactor = 1.5;

/**
 * The test as it is while the other backends of the pool show `othersRate`: trouble that all share is nobody's own. To
 * degrade, mild trouble alone is taken for normal, up to half of p1: when all are in heavy trouble the whole pool is
 * degraded. To make unhealthy, any trouble is: a backend must be worse than the others. The odds of p1 stay as many times
 * those of p0 as they were.
 */
export function againstCommonCause(signal: Signal, test: CusumTest, othersRate: number): CusumTest {
  const p0Max = signal === "outage" ? 0.9 : test.p1 / 2;
  const p0 = Math.min(p0Max, Math.max(test.p0, commonFactor * othersRate));
  if (p0 === test.p0) return test;
  const odds = (rate: number): number => rate / (1 - rate);
  const raised = (odds(test.p1) / odds(test.p0)) * odds(p0);
  return { p0, p1: raised / (1 + raised), h: test.h };
}
