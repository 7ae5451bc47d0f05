// A burst of changes becomes one publication: after a quiet time, or at the latest a while after the burst began.

import type { Instant } from "@meridian/proto/base";

/** How long nothing must change, and the longest wait. Source: design 5; Istio waits 100 ms and 10 s at most. */
export const debounceLimits = { quietMs: 50, capMs: 500 } as const;

/** A burst that is not published yet, or none. */
export type Debounce =
  | { readonly kind: "quiet" }
  | { readonly kind: "waiting"; readonly firstAt: Instant; readonly lastAt: Instant };

/** Nothing waits to be published: the beginning, and the state after each publication. */
export const quiet: Debounce = { kind: "quiet" };

/** A change came. */
export function noteChange(state: Debounce, now: Instant): Debounce {
  return { kind: "waiting", firstAt: state.kind === "waiting" ? state.firstAt : now, lastAt: now };
}

/** When to publish, and then go on from `quiet`; undefined: nothing waits. */
export function debounceDueAt(state: Debounce): Instant | undefined {
  if (state.kind === "quiet") return undefined;
  return Math.min(state.lastAt + debounceLimits.quietMs, state.firstAt + debounceLimits.capMs);
}
