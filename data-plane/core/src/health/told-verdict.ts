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
  /** It is of some seconds ago: it overrules nothing that was seen since. */
  readonly isAgeing: boolean;
};

/**
 * The region's verdict while it ages: `trust` of its share, and of this proxy's own the rest. Who was told to be out stays
 * out: it has to prove itself first, and there is nobody yet to whom it could.
 */
export function agedVerdict(
  told: ToldVerdict,
  own: ToldVerdict | undefined,
  trust: number,
): ToldVerdict {
  if (trust === 1) return told;
  if (own === undefined || told.verdict === "unhealthy") return { ...told, isAgeing: true };
  return {
    ...told,
    share: trust * told.share + (1 - trust) * own.share,
    freezesBaseline: told.freezesBaseline || own.freezesBaseline,
    isAgeing: true,
  };
}
