// What health is to the rest of the engine: shares per target, fed with the ends of calls and with verdicts.
// passive-health.ts is the fast path of one proxy; statistical procedures come behind the same interface.

import type { Instant } from "@meridian/proto/base";

/** What the end of one call says about a target. Client errors, client aborts and our own shedding say "nothing". */
export type Evidence = "success" | "connect-failure" | "failure" | "nothing";

/** The control plane's word on a backend. */
export type Verdict = "none" | "healthy" | "degraded" | "unhealthy";

/** Why a target has the share it has. */
export type Standing = "healthy" | "degraded" | "unhealthy" | "ejected" | "trial" | "trial-running";

export type Health = {
  /**
   * The part of its weight that a target may have now: 1 healthy, 0.5 degraded, 0 not to be called.
   * A target that returns has its share until its one trial is taken by `started`.
   */
  readonly share: (slot: number, now: Instant) => number;
  readonly standing: (slot: number, now: Instant) => Standing;
  /** A call begins. */
  readonly started: (slot: number, now: Instant) => void;
  /** A call ended: evidence is counted here, never at the start. Says what changed, for the log. */
  readonly ended: (call: EndedCall, now: Instant) => HealthChange | undefined;
  readonly judge: (slot: number, verdict: Verdict) => void;
  /** The policy changed: pools are these now. What was learned of a slot is kept. */
  readonly arrange: (pools: readonly HealthPool[]) => void;
  /** A sibling thread's health changed so: this one follows, as far as its own pools allow. */
  readonly hear: (change: HealthChange, now: Instant) => void;
  /** The slot belongs to somebody else from now on. */
  readonly forget: (slot: number) => void;
};

export type EndedCall = {
  readonly slot: number;
  readonly evidence: Evidence;
  readonly startedAt: Instant;
};

/** Targets that stand in for each other. */
export type HealthPool = {
  readonly slots: readonly number[];
  /** true: when all of them are out, another region or step can answer. */
  readonly elsewhere: boolean;
};

export type HealthChange =
  | {
      readonly kind: "ejected";
      readonly slot: number;
      readonly forMs: number;
      readonly reason: string;
    }
  | { readonly kind: "returned"; readonly slot: number }
  /** Evidence would eject, the pool's limit forbids. */
  | { readonly kind: "kept"; readonly slot: number; readonly reason: string };
