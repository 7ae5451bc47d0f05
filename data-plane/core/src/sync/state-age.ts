// The age of the regions' state, and what it means.

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
