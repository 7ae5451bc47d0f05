// How much each kind of evidence speaks against a backend, and what a tick adds to it.

import type { Instant } from "../base/index.ts";
import { stepCusum } from "../stats/index.ts";
import type { HealthCounts } from "./health-counts.ts";
import { againstCommonCause, type HealthTests, type Signal } from "./health-tests.ts";

/** How much one signal says, and since when: the sum left 0 at `since`, and saw so much from there on. */
export type SignalState = {
  readonly sum: number;
  readonly n: number;
  readonly bad: number;
  readonly since: Instant;
  /** When it last alarmed; −Infinity: never. */
  readonly alarmedAt: Instant;
};

export type SignalStates = { readonly [S in Signal]: SignalState };

/** Rates of bad events of the pool's other backends, for the guard against a common cause. */
export type OthersRates = { readonly failure: number; readonly slow: number };

/** What a local ejection counts as in each tick that it lasts: it stops the requests that would be the evidence. */
const ejectionWeight = 3;

export function calmSignals(now: Instant): SignalStates {
  const calm = { sum: 0, n: 0, bad: 0, since: now, alarmedAt: Number.NEGATIVE_INFINITY };
  return { failure: calm, slow: calm, wrong: calm, outage: calm, probe: calm };
}

/** It says nothing any more; that it alarmed stays known. */
export function cleared(state: SignalState, now: Instant): SignalState {
  return { ...state, sum: 0, n: 0, bad: 0, since: now };
}

/** The sums after the tick; one that alarms stays at its threshold until good events bring it down. */
export function stepSignals(
  before: SignalStates,
  counts: HealthCounts,
  { tests, others }: { readonly tests: HealthTests; readonly others: OthersRates },
  now: Instant,
): SignalStates {
  const held = counts.ejectedBy * ejectionWeight;
  const requests = { n: counts.requests + held, bad: counts.failed + held };
  const step = (signal: Signal, seen: Seen, othersRate: number): SignalState =>
    stepSignal(before[signal], seen, {
      test: againstCommonCause(signal, tests[signal], othersRate),
      now,
    });
  return {
    failure: step("failure", requests, others.failure),
    slow: step("slow", { n: counts.timed, bad: counts.slow }, others.slow),
    wrong: step("wrong", { n: counts.canaries, bad: counts.canariesWrong }, 0),
    outage: step("outage", requests, others.failure),
    probe: step("probe", { n: counts.probes, bad: counts.probesFailed }, 0),
  };
}

type Seen = { readonly n: number; readonly bad: number };

function stepSignal(
  state: SignalState,
  seen: Seen,
  { test, now }: { readonly test: HealthTests[Signal]; readonly now: Instant },
): SignalState {
  if (seen.n === 0) return state;
  const sum = stepCusum(state.sum, seen, test);
  if (sum === 0) return { ...state, sum: 0, n: 0, bad: 0, since: now };
  const wasCalm = state.sum === 0;
  return {
    sum: Math.min(sum, test.h),
    n: (wasCalm ? 0 : state.n) + seen.n,
    bad: (wasCalm ? 0 : state.bad) + seen.bad,
    since: wasCalm ? now : state.since,
    alarmedAt: sum >= test.h ? now : state.alarmedAt,
  };
}
