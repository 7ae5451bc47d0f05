// A verdict as it is told to others and kept in the store: the evidence in numbers, never in samples. And the way back:
// what a judge that begins makes of what was told before it.

import type { Instant, WallTime } from "@meridian/proto/base";
import {
  type BackendHealth,
  type HealthTests,
  newBackendHealth,
  type Signal,
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

/** The one that alarmed last. None did where wrong answers in a row were enough. */
function leadingSignal({ signals: states }: BackendHealth): Signal {
  let leading: Signal = "wrong";
  let alarmedAt = Number.NEGATIVE_INFINITY;
  for (const signal of byGravity) {
    if (states[signal].alarmedAt <= alarmedAt) continue;
    leading = signal;
    alarmedAt = states[signal].alarmedAt;
  }
  return leading;
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
  if (verdict === "unhealthy") {
    const out = { phase: "out", until: now, ejectedAt: now } as const;
    return { ...fresh, ...out, ejections: Math.max(1, ejections), reason };
  }
  const state = { sum: tests[signal].h, n, bad, since: now, alarmedAt: now };
  return { ...fresh, ejections, signals: { ...fresh.signals, [signal]: state }, reason };
}

/** Whether a text names a signal. */
export function isSignal(value: unknown): value is Signal {
  return signals.some((each) => each === value);
}
