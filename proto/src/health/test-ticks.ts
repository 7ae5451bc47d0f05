// Seconds of a backend's life, for tests.

import {
  type BackendHealth,
  deriveTests,
  type HealthCounts,
  healthTimes,
  newBackendHealth,
  noCounts,
  type TickContext,
  tickHealth,
} from "./index.ts";

export const fleet = { backends: 60, falseAlarmsPerMonth: 1 };
export const tests = deriveTests(fleet);
export const alone: TickContext = {
  tests,
  times: healthTimes,
  others: { failure: 0, failureNow: 0, slow: 0 },
  mayEject: true,
  hasCanary: false,
  isAnswering: false,
};

export function counts(more: Partial<HealthCounts>): HealthCounts {
  return { ...noCounts, ...more };
}

/** Seconds of the same counts. */
export function run(
  start: BackendHealth,
  seconds: number,
  each: (second: number) => HealthCounts,
  { context = alone, from = 0 }: { context?: TickContext; from?: number } = {},
): BackendHealth {
  let health = start;
  for (let second = 1; second <= seconds; second++) {
    health = tickHealth(health, each(second), context, (from + second) * 1_000);
  }
  return health;
}

export const fresh = newBackendHealth(0);
