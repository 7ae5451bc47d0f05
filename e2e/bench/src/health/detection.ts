// How soon trouble is noticed and how a backend comes back, by running the real judge, second by second, on random events.

import type { Random } from "@meridian/proto/base";
import {
  type BackendHealth,
  deriveTests,
  emptyFleet,
  type FleetContext,
  type FleetHealth,
  type HealthCounts,
  type HealthVerdict,
  healthTimes,
  noCounts,
  tickFleet,
  verdictOf,
} from "@meridian/proto/health";
import { type CusumTest, stepCusum } from "@meridian/proto/stats";

/** The fleet of the reference: 60 backends, one false "unhealthy" a month. */
export const fleetSize = { backends: 60, falseAlarmsPerMonth: 1 } as const;
const tests = deriveTests(fleetSize);
const rank: { readonly [V in HealthVerdict]: number } = { healthy: 0, degraded: 1, unhealthy: 2 };

/** What a second brings to a backend. */
export type Second = (random: Random) => HealthCounts;

/** Requests of which a share fails; those that are answered are in time, up to the usual 5 %. */
export function failing(perSecond: number, rate: number): Second {
  return (random) => {
    const failed = binomial(random, perSecond, rate);
    const timed = perSecond - failed;
    const slow = binomial(random, timed, 0.05);
    return { ...noCounts, requests: perSecond, failed, timed, slow, probes: 2 };
  };
}

/** Spread of first tokens about their median, as a factor's logarithm: usual for one model and one length of input. */
const spread = 0.4;
/** The 95th percentile of the normal distribution. */
const z95 = 1.645;

/** First tokens so many times as slow as they were when the bound was learned. */
export function slower(perSecond: number, factor: number): Second {
  return (random) => {
    let slow = 0;
    for (let each = 0; each < perSecond; each++) {
      if (longerThanUsual(random, factor)) slow += 1;
    }
    return { ...noCounts, requests: perSecond, timed: perSecond, slow, probes: 2 };
  };
}

/** Whether one first token takes longer than 95 % did while nothing was slower. */
export function longerThanUsual(random: Random, factor: number): boolean {
  return Math.log(factor) + spread * normal(random) > spread * z95;
}

/** One backend's way through its seconds. */
export class Trial {
  readonly #random: Random;
  readonly #context: FleetContext;
  readonly #names: readonly string[];
  #fleet: FleetHealth = emptyFleet;
  seconds = 0;

  constructor(
    random: Random,
    { backends = 1, hasCanary = false }: { backends?: number; hasCanary?: boolean } = {},
  ) {
    this.#random = random;
    this.#names = Array.from({ length: backends }, (_, each) => `backend-${each}`);
    const withCanary = new Set(hasCanary ? this.#names : []);
    this.#context = { tests, times: healthTimes, pools: [this.#names], withCanary };
  }

  /** A second that is alike for all backends. */
  pass(second: Second): void {
    this.seconds += 1;
    const counts = new Map(this.#names.map((name) => [name, second(this.#random)]));
    const clock = { now: this.seconds * 1_000, tickMs: 1_000 };
    this.#fleet = tickFleet(this.#fleet, counts, this.#context, clock);
  }

  health(backend = 0): BackendHealth {
    const member = this.#fleet.backends.get(this.#names[backend] ?? "");
    if (member === undefined) throw new Error("no second has passed yet");
    return member.health;
  }

  verdict(backend = 0): HealthVerdict {
    return verdictOf(this.health(backend), healthTimes, this.seconds * 1_000);
  }
}

/** Seconds until the verdict is so bad, for each run; Infinity: never within ten minutes. */
export function secondsUntil(
  wanted: HealthVerdict,
  second: Second,
  { random, runs }: { readonly random: Random; readonly runs: number },
): readonly number[] {
  return Array.from({ length: runs }, () => {
    const trial = new Trial(random);
    do trial.pass(second);
    while (rank[trial.verdict()] < rank[wanted] && trial.seconds < 600);
    return rank[trial.verdict()] < rank[wanted] ? Number.POSITIVE_INFINITY : trial.seconds;
  });
}

/** Seconds of one test alone until its alarm, at so many requests a second: the reference's second table. */
export function secondsToAlarm(
  test: CusumTest,
  given: { readonly perSecond: number; readonly rate: number },
  { random, runs }: { readonly random: Random; readonly runs: number },
): readonly number[] {
  return Array.from({ length: runs }, () => {
    let seconds = 0;
    for (let sum = 0; sum < test.h; seconds++) {
      const bad = binomial(random, given.perSecond, given.rate);
      sum = stepCusum(sum, { n: given.perSecond, bad }, test);
    }
    return seconds;
  });
}

/** While it proves itself: two probes a second, a canary each second, and one request in a hundred. */
export function proving(rate: number): Second {
  return (random) => {
    const requests = binomial(random, 10, 0.01);
    return {
      ...noCounts,
      requests,
      failed: binomial(random, requests, rate),
      probes: 2,
      probesFailed: binomial(random, 2, rate),
      canaries: 1,
    };
  };
}

export function binomial(random: Random, n: number, rate: number): number {
  let bad = 0;
  for (let each = 0; each < n; each++) if (random.next() < rate) bad += 1;
  return bad;
}

/** Box and Muller. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
