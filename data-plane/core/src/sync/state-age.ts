// The age of the regions' state, and what it means: fresh is used, ageing is discounted, stale says nothing.

import type { Instant } from "@meridian/proto/base";
import type { StateAge } from "./events.ts";

/** Frames come each second; five lost ones are no accident. */
const freshMs = 5_000;
const ageingMs = 30_000;
/** The largest that a report's 32-bit field can say: "never". */
const neverMs = 0xffff_ffff;

/** fresh below 5 s, ageing below 30 s, stale beyond; none before the first frame. */
export function stateAge(lastFrameAt: Instant | undefined, now: Instant): StateAge {
  if (lastFrameAt === undefined) return { kind: "none", ms: neverMs };
  const ms = Math.min(neverMs, Math.max(0, now - lastFrameAt));
  return { kind: ms < freshMs ? "fresh" : ms < ageingMs ? "ageing" : "stale", ms };
}

/**
 * What a word is worth that is so old: 1 up to 5 s, then less by the second, 0 from `goneMs` on. Source: reference
 * multiregion 3.2, for another region's capacity with 30 s.
 *
 * @example trustAt(17_500, 30_000) // 0.5
 */
export function trustAt(ageMs: number, goneMs: number = ageingMs): number {
  return Math.min(1, Math.max(0, 1 - (ageMs - freshMs) / (goneMs - freshMs)));
}
