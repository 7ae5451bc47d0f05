// While another region's control plane is in use, the own region's is asked now and then whether it is back.

import type { Instant, Random } from "@meridian/proto/base";

export type HomeProbe =
  /** Home is in use, or nothing is. */
  | { readonly kind: "none" }
  | { readonly kind: "resting"; readonly until: Instant }
  | { readonly kind: "asking"; readonly probe: number; readonly until: Instant };

export function beginProbe(probe: number, until: Instant): HomeProbe {
  return { kind: "asking", probe, until };
}

/** The next probe after `everyMs` ± 50 %, so that a region's proxies don't all ask at once. */
export function restProbe(now: Instant, everyMs: number, random: Random): HomeProbe {
  return { kind: "resting", until: now + everyMs * (0.5 + random.next()) };
}

/** When the probe needs a `time` event: to begin, or to be given up. */
export function probeDue(probe: HomeProbe): Instant {
  return probe.kind === "none" ? Number.POSITIVE_INFINITY : probe.until;
}
