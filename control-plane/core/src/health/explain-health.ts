// A verdict in words and numbers: what speaks for it, and what it would take to change it.

import type { Instant } from "@meridian/proto/base";
import {
  type BackendHealth,
  canariesInRow,
  type HealthTests,
  healthTimes,
  noProof,
  type Signal,
  signals,
  triesToReturn,
  verdictOf,
} from "@meridian/proto/health";
import { badEventsToAlarm, goodEventsToCalm, wilsonInterval } from "@meridian/proto/stats";

/** One signal's evidence since its sum last was 0. */
export type SignalEvidence = {
  readonly signal: Signal;
  readonly sum: number;
  readonly threshold: number;
  readonly n: number;
  readonly bad: number;
  /** 95 % interval of the rate of bad events; 0 to 1 while there are none. */
  readonly low: number;
  readonly high: number;
  readonly since: Instant;
  /** It holds the verdict where it is. */
  readonly isAlarmed: boolean;
};

const events: { readonly [S in Signal]: string } = {
  failure: "failed requests",
  slow: "slow first tokens",
  wrong: "wrong canaries",
  outage: "failed requests",
  probe: "failed probes",
};

const goodEvents: { readonly [S in Signal]: string } = {
  failure: "good requests",
  slow: "first tokens in time",
  wrong: "right canaries",
  outage: "good requests",
  probe: "good probes",
};

export function evidenceOf(
  health: BackendHealth,
  tests: HealthTests,
  now: Instant,
): readonly SignalEvidence[] {
  return signals.map((signal) => {
    const { sum, n, bad, since, alarmedAt } = health.signals[signal];
    return {
      signal,
      sum,
      threshold: tests[signal].h,
      n,
      bad,
      ...wilsonInterval({ n, bad }),
      since,
      isAlarmed: isHolding(health, signal, alarmedAt, now),
    };
  });
}

/** Sentences for an operator: the next worse verdict and the next better one. */
export function outlookOf(
  health: BackendHealth,
  tests: HealthTests,
  now: Instant,
): readonly string[] {
  switch (health.phase) {
    case "out":
      return [
        `it is let prove itself in ${seconds(health.until - now)}`,
        `then ${triesToReturn(noProof).tries} good probes or requests in a row let it return`,
      ];
    case "proving":
      return provingOutlook(health);
    case "in":
    case "returning":
      return [...worse(health, tests), ...better(health, tests, now)];
  }
}

function provingOutlook({ proof }: BackendHealth): readonly string[] {
  const { tries, requests } = triesToReturn(proof);
  const canaries = Math.max(0, canariesInRow - proof.canariesRightInRow);
  return [
    `${tries} more good probes or requests in a row let it return` +
      (requests === 0 ? "" : `, ${requests} of them requests`) +
      (canaries === 0 ? "" : `, with ${canaries} right canaries where it has one`),
    "one or two failures send it back out",
  ];
}

function worse(health: BackendHealth, tests: HealthTests): readonly string[] {
  const lines = signals.map((signal) => {
    const lack = badEventsToAlarm(health.signals[signal].sum, tests[signal]);
    const then = signal === "outage" || signal === "probe" ? "unhealthy" : "degraded";
    return `${lack} ${events[signal]}, one each second, would make it ${then}`;
  });
  const canaries = Math.max(1, canariesInRow - health.canariesWrongInRow);
  return [...lines, `${canaries} ${events.wrong} in a row would make it unhealthy`];
}

function better(health: BackendHealth, tests: HealthTests, now: Instant): readonly string[] {
  const lines: string[] = [];
  if (health.phase === "returning") {
    const left = health.since + healthTimes.slowStartMs - now;
    lines.push(`its share grows to the whole in ${seconds(Math.max(0, left))}`);
  }
  if (verdictOf(health, healthTimes, now) !== "degraded") return lines;
  for (const signal of signals) {
    const { sum, alarmedAt } = health.signals[signal];
    if (!isHolding(health, signal, alarmedAt, now)) continue;
    const calm = goodEventsToCalm(sum, tests[signal]);
    const left = Math.max(0, alarmedAt + healthTimes.degradedMs - now);
    lines.push(`${calm} ${goodEvents[signal]} and ${seconds(left)} make it healthy again`);
  }
  return lines;
}

function isHolding(
  health: BackendHealth,
  signal: Signal,
  alarmedAt: Instant,
  now: Instant,
): boolean {
  if (!Number.isFinite(alarmedAt)) return false;
  return now - alarmedAt < healthTimes.degradedMs || health.signals[signal].sum > 0;
}

function seconds(ms: number): string {
  return `${Math.ceil(Math.max(0, ms) / 1_000)} s`;
}
