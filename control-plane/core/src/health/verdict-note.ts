// A verdict as it is told to others and kept in the store: the evidence in numbers, never in samples. And the way back:
// what a judge that begins makes of what was told before it.

import type { Instant, WallTime } from "@meridian/proto/base";
import {
  type BackendHealth,
  type HealthTests,
  newBackendHealth,
  type Signal,
  type SignalState,
  signals,
} from "@meridian/proto/health";
import type { JudgedBackend } from "./region-health.ts";

/** Of a backend that is not healthy. The interval of the rate follows from `n` and `bad`: see `wilsonInterval`. */
export type VerdictNote = {
  readonly backend: string;
  readonly verdict: "degraded" | "unhealthy";
  /** What spoke against it last, and is the evidence's source: requests, first tokens, canaries or probes. */
  readonly signal: Signal;
  /** Events since that signal began to speak, and how many of them were bad. */
  readonly n: number;
  readonly bad: number;
  /** Since when it stands so, wall time of whoever judged. */
  readonly sinceMs: WallTime;
  /** Ejections that are remembered. */
  readonly ejections: number;
  readonly reason: string;
};

export const reasonLengthMax = 200;

/** Of those that alarmed at the same moment, the gravest first. */
const byGravity: readonly Signal[] = ["outage", "probe", "wrong", "failure", "slow"];

/** undefined: there is nothing to tell of a healthy one. */
export function noteOf(
  { name, verdict, health }: JudgedBackend,
  at: { readonly now: Instant; readonly wall: WallTime },
): VerdictNote | undefined {
  if (verdict === "healthy") return undefined;
  const signal = leadingSignal(health);
  const { n, bad, since } = health.signals[signal];
  return {
    backend: name,
    verdict,
    signal,
    n,
    bad,
    sinceMs: Math.round(at.wall - (at.now - (verdict === "unhealthy" ? health.since : since))),
    ejections: health.ejections,
    reason: health.reason.slice(0, reasonLengthMax),
  };
}

function leadingSignal({ signals: states }: BackendHealth): Signal {
  return byGravity.reduce((leading, signal) =>
    isLouder(states[signal], states[leading]) ? signal : leading,
  );
}

/** It alarmed later; where neither did, as three wrong answers in a row are enough, it says more. */
function isLouder(a: SignalState, b: SignalState): boolean {
  if (a.alarmedAt !== b.alarmedAt) return a.alarmedAt > b.alarmedAt;
  return !Number.isFinite(a.alarmedAt) && a.sum > b.sum;
}

/**
 * The health with which a judge begins. What was out has to prove itself, now; what was degraded is so until good events
 * have spoken; of whom nothing is told, nothing speaks against.
 */
export function recallHealth(
  note: VerdictNote | undefined,
  tests: HealthTests,
  now: Instant,
): BackendHealth {
  const fresh = newBackendHealth(now);
  if (note === undefined) return fresh;
  const { ejections, n, bad, signal, verdict } = note;
  const reason = `as told before: ${note.reason}`;
  const told = { sum: n > 0 ? tests[signal].h : 0, n, bad, since: now };
  // What was told is no alarm of now: it is not to be taken for a cause that others share.
  const alarmedAt = verdict === "unhealthy" ? Number.NEGATIVE_INFINITY : now;
  const known = { ...fresh.signals, [signal]: { ...told, alarmedAt } };
  if (verdict === "degraded") return { ...fresh, ejections, signals: known, reason };
  const out = { phase: "out", until: now, ejections: Math.max(1, ejections) } as const;
  return { ...fresh, ...out, signals: known, reason };
}

/** Whether a text names a signal. */
export function isSignal(value: unknown): value is Signal {
  return signals.some((each) => each === value);
}
