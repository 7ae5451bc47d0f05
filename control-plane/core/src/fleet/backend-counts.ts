// What a region's proxies counted of each backend in the last ten seconds: one slot per second, summed when asked.

import type { Instant } from "@meridian/proto/base";

export const windowSeconds = 10;

export type Counts = { readonly succeeded: number; readonly failed: number };

export type BackendCounts = {
  readonly add: (backend: string, counts: Counts, now: Instant) => void;
  readonly sum: (backend: string, now: Instant) => Counts;
  /** Drops what has counted nothing in the window. */
  readonly prune: (now: Instant) => void;
};

/** Two numbers per slot, and the second that each slot stands for. */
type Ring = { readonly counts: Float64Array; readonly seconds: Float64Array; lastAt: Instant };

/** Beyond `backendsMax` names nothing more is counted until some fall silent. */
export function createBackendCounts(backendsMax: number): BackendCounts {
  const rings = new Map<string, Ring>();
  return {
    add: (backend, counts, now) => {
      let ring = rings.get(backend);
      if (ring === undefined) {
        if (rings.size >= backendsMax) return;
        ring = emptyRing(now);
        rings.set(backend, ring);
      }
      addTo(ring, counts, now);
    },
    sum: (backend, now) => {
      const ring = rings.get(backend);
      return ring === undefined ? { succeeded: 0, failed: 0 } : sumOf(ring, now);
    },
    prune: (now) => {
      for (const [backend, ring] of rings) {
        if (ring.lastAt <= now - windowSeconds * 1_000) rings.delete(backend);
      }
    },
  };
}

function emptyRing(now: Instant): Ring {
  return {
    counts: new Float64Array(windowSeconds * 2),
    seconds: new Float64Array(windowSeconds).fill(Number.NEGATIVE_INFINITY),
    lastAt: now,
  };
}

function addTo(ring: Ring, counts: Counts, now: Instant): void {
  const second = Math.floor(now / 1_000);
  const slot = second % windowSeconds;
  const isNew = ring.seconds[slot] !== second;
  ring.seconds[slot] = second;
  ring.counts[slot * 2] = (isNew ? 0 : (ring.counts[slot * 2] ?? 0)) + counts.succeeded;
  ring.counts[slot * 2 + 1] = (isNew ? 0 : (ring.counts[slot * 2 + 1] ?? 0)) + counts.failed;
  ring.lastAt = now;
}

function sumOf(ring: Ring, now: Instant): Counts {
  const oldest = Math.floor(now / 1_000) - windowSeconds;
  let succeeded = 0;
  let failed = 0;
  for (let slot = 0; slot < windowSeconds; slot++) {
    if ((ring.seconds[slot] ?? 0) <= oldest) continue;
    succeeded += ring.counts[slot * 2] ?? 0;
    failed += ring.counts[slot * 2 + 1] ?? 0;
  }
  return { succeeded, failed };
}
