// Wald's sequential probability ratio test between two rates of bad events: how a backend proves that it is well again.
// Source: Wald 1945. The sum rises with what speaks for "good" and falls with what speaks for "bad".

import { followWalk } from "./bad-event-walk.ts";

/** Rates are shares from 0 to 1, errors are chances. */
export type SprtTest = {
  /** Rate of bad events of a good one. */
  readonly good: number;
  /** Rate of a bad one; above `good`. */
  readonly bad: number;
  /** Chance to take a bad one for good. */
  readonly badTakenForGood: number;
  /** Chance to take a good one for bad. */
  readonly goodTakenForBad: number;
};

export type SprtVerdict = "good" | "bad" | "undecided";

/** The test's arithmetic: what an event adds, and where it ends. */
export type SprtLimits = {
  /** Added by a good event; above 0. */
  readonly onGood: number;
  /** Added by a bad event; below 0. */
  readonly onBad: number;
  /** At or above: good. */
  readonly accept: number;
  /** At or below: bad. */
  readonly reject: number;
};

/** @example sprtLimits({ good: 0.02, bad: 0.2, badTakenForGood: 0.001, goodTakenForBad: 0.05 }).accept // 6.86 */
export function sprtLimits(test: SprtTest): SprtLimits {
  const { good, bad, badTakenForGood: alpha, goodTakenForBad: beta } = test;
  return {
    onGood: Math.log((1 - good) / (1 - bad)),
    onBad: Math.log(good / bad),
    accept: Math.log((1 - beta) / alpha),
    reject: Math.log(beta / (1 - alpha)),
  };
}

/** The sum after one event. Once decided, a test is over: start the next at 0. */
export function stepSprt(sum: number, isBad: boolean, limits: SprtLimits): number {
  return sum + (isBad ? limits.onBad : limits.onGood);
}

export function sprtVerdict(sum: number, limits: SprtLimits): SprtVerdict {
  if (sum >= limits.accept) return "good";
  return sum <= limits.reject ? "bad" : "undecided";
}

/** Good events in a row that still lack to the verdict "good". */
export function goodEventsToAccept(sum: number, limits: SprtLimits): number {
  return Math.max(0, Math.ceil((limits.accept - sum) / limits.onGood - 1e-9));
}

/** What a test does with events that are bad with the chance `p`. */
export type SprtOutcome = {
  /** Chance of the verdict "good". */
  readonly accepted: number;
  readonly meanEvents: number;
};

/** Exact: see bad-event-walk.ts. */
export function sprtOutcome(limits: SprtLimits, p: number): SprtOutcome {
  const { counted: accepted, meanEvents } = followWalk(p, (bad, good) => {
    const verdict = sprtVerdict(bad * limits.onBad + good * limits.onGood, limits);
    if (verdict === "undecided") return "on";
    return verdict === "good" ? "counted" : "other";
  });
  return { accepted, meanEvents };
}
