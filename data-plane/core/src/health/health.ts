// What health is to the rest of the engine: shares per target, fed with the ends of calls and with verdicts.
// passive-health.ts is the fast path of one proxy; statistical procedures come behind the same interface.

import type { Instant } from "@meridian/proto/base";
import type { ToldVerdict } from "./told-verdict.ts";

/** What the end of one call says about a target. Client errors, client aborts and our own shedding say "nothing". */
export type Evidence = "success" | "connect-failure" | "failure" | "nothing";

/** Why a target has the share it has. */
export type Standing =
  | "healthy"
  | "degraded"
  | "unhealthy"
  | "proving"
  | "ejected"
  | "trial"
  | "trial-running";

export type Health = {
  /**
   * The part of its weight that a target may have now, 0 to 1; 0: not to be called.
   * A target that returns has its share until its one trial is taken by `started`; one that proves itself has it for one
   * request in a hundred, and for one at a time.
   */
  readonly share: (slot: number, now: Instant) => number;
  readonly standing: (slot: number, now: Instant) => Standing;
  /** A call begins. */
  readonly started: (slot: number, now: Instant) => void;
  /** A call ended: evidence is counted here, never at the start. Says what changed, for the log. */
  readonly ended: (call: EndedCall, now: Instant) => HealthChange | undefined;
  /** The verdict on a target: the control plane's, or where it is silent this proxy's own. undefined: there is none. */
  readonly judge: (slot: number, told: ToldVerdict | undefined, now: Instant) => void;
  /** What is usual of it is not learned now: it may be about to change. */
  readonly isFrozen: (slot: number) => boolean;
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
