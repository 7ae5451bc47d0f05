// A verdict as it is acted on, whoever reached it: the region's control plane, or this proxy where it is alone.

import type { HealthVerdict } from "@meridian/proto/health";

export type ToldVerdict = {
  readonly verdict: HealthVerdict;
  /** Of its weight, 0 to 1. */
  readonly share: number;
  /** Out, and to prove itself: a trickle of requests is let through. */
  readonly isProving: boolean;
  /** An alarm of slowness builds or holds: what is usual is not learned now. */
  readonly freezesBaseline: boolean;
};
