// How many events each test takes to alarm: by the exact computation, by running the real test with random events, and as
// the literature's table has it (reference multiregion 5.3).

import type { Random } from "@meridian/proto/base";
import { type CusumTest, cusumSteps, meanEventsToAlarm, stepCusum } from "@meridian/proto/stats";

export type RunLength = {
  /** "D-fail at 1 %". */
  readonly name: string;
  readonly test: CusumTest;
  /** Chance of each event to be bad. */
  readonly rate: number;
  /** The table's figure. */
  readonly target: number;
};

export type MeasuredRunLength = RunLength & { readonly exact: number; readonly simulated: number };

const tests = {
  "D-fail": { p0: 0.01, p1: 0.1, h: 13.8 },
  "D-slow": { p0: 0.05, p1: 0.25, h: 13.8 },
  "D-wrong": { p0: 0.002, p1: 0.05, h: 9.2 },
  "U-fail passive": { p0: 0.1, p1: 0.5, h: 9.2 },
  "U-fail probe": { p0: 0.1, p1: 0.6, h: 6.9 },
} as const satisfies { readonly [name: string]: CusumTest };

const targets: readonly (readonly [keyof typeof tests, rate: number, target: number])[] = [
  ["D-fail", 0.01, 3.4e7],
  ["D-fail", 0.02, 1.1e5],
  ["D-fail", 0.1, 96],
  ["D-fail", 0.2, 38],
  ["D-fail", 0.5, 14],
  ["D-fail", 1, 7],
  ["D-slow", 0.05, 7.4e6],
  ["D-slow", 0.08, 3.2e4],
  ["D-slow", 0.25, 58],
  ["D-slow", 0.5, 20],
  ["D-slow", 1, 9],
  ["D-wrong", 0.002, 7.2e5],
  ["D-wrong", 0.05, 85],
  ["D-wrong", 0.5, 6],
  ["D-wrong", 1, 3],
  ["U-fail passive", 0.01, 4.3e10],
  ["U-fail passive", 0.02, 6e8],
  ["U-fail passive", 0.05, 1.8e6],
  ["U-fail passive", 0.5, 16],
  ["U-fail passive", 1, 6],
  ["U-fail probe", 0.01, 1.9e9],
  ["U-fail probe", 0.02, 5.8e7],
  ["U-fail probe", 0.6, 11],
  ["U-fail probe", 1, 5],
];

export const runLengths: readonly RunLength[] = targets.map(([name, rate, target]) => ({
  name: `${name} at ${rate * 100} %`,
  test: tests[name],
  rate,
  target,
}));

/** `runs`: cycles or alarms to simulate for each; the error falls with its root. */
export function measureRunLength(
  each: RunLength,
  { random, runs }: { readonly random: Random; readonly runs: number },
): MeasuredRunLength {
  const { rate, test } = each;
  const { up, down } = cusumSteps(test);
  const isRare = rate * up < (1 - rate) * down;
  const simulated = isRare
    ? meanByCycles(test, rate, { random, runs })
    : meanByAlarms(test, rate, { random, runs });
  return { ...each, exact: meanEventsToAlarm(test, rate), simulated };
}

type Draws = { readonly random: Random; readonly runs: number };

/** Plain: run it until it alarms, often. */
function meanByAlarms(test: CusumTest, rate: number, { random, runs }: Draws): number {
  let events = 0;
  for (let run = 0; run < runs; run++) {
    for (let sum = 0; sum < test.h; events++) sum = draw(sum, test, random.next() < rate);
  }
  return events / runs;
}

/**
 * Alarms too rare to wait for: the mean length of a cycle (from 0 back to 0) over its chance to end in an alarm. That
 * chance is estimated under a rate at which alarms are common, each weighed by how much likelier it was made (Siegmund
 * 1976). The rate is the conjugate one, so that the weights of all alarms are nearly the same.
 */
function meanByCycles(test: CusumTest, rate: number, { random, runs }: Draws): number {
  let length = 0;
  for (let run = 0; run < runs; run++) {
    let sum = 0;
    do {
      sum = draw(sum, test, random.next() < rate);
      length += 1;
    } while (sum > 0 && sum < test.h);
  }
  const tilted = conjugateRate(test, rate);
  let alarms = 0;
  for (let run = 0; run < runs; run++) {
    let sum = 0;
    let weight = 1;
    do {
      const isBad = random.next() < tilted;
      weight *= isBad ? rate / tilted : (1 - rate) / (1 - tilted);
      sum = draw(sum, test, isBad);
    } while (sum > 0 && sum < test.h);
    if (sum >= test.h) alarms += weight;
  }
  return length / alarms;
}

/** One event a tick: what the exact mean is of. */
function draw(sum: number, test: CusumTest, isBad: boolean): number {
  return stepCusum(sum, { n: 1, bad: isBad ? 1 : 0 }, test);
}

/** The rate at which the sum's mean step is the reverse: its exponent solves E[e^(θ·step)] = 1, by halving. */
function conjugateRate(test: CusumTest, rate: number): number {
  const { up, down } = cusumSteps(test);
  const moment = (theta: number): number =>
    rate * Math.exp(theta * up) + (1 - rate) * Math.exp(-theta * down);
  let low = 1e-6;
  let high = 1;
  while (moment(high) < 1) high *= 2;
  for (let halving = 0; halving < 60; halving++) {
    const middle = (low + high) / 2;
    if (moment(middle) < 1) low = middle;
    else high = middle;
  }
  return rate * Math.exp(low * up);
}
