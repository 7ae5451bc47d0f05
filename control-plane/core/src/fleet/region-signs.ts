// The last sign of life of each region, and its last digest. Ages count from when a sign was seen here, on the own
// clock: clocks of regions are never compared, but for signs that were already there at the start.

import type { Instant } from "@meridian/proto/base";
import type { RegionDigest } from "./digest.ts";

/** A region's control plane shows itself each two seconds. */
const staleMs = 10_000;

/** An age that says "never". */
const neverMs = 0xffff_ffff;

export type RegionSigns = {
  /** The region's digest came, or its control plane's heartbeat. ageMs: how old it was already when it was read. */
  readonly see: (region: string, now: Instant, ageMs?: number) => void;
  readonly setDigest: (digest: RegionDigest) => void;
  /** Milliseconds since the last sign of life; 4294967295: there was none. */
  readonly ageMs: (region: string, now: Instant) => number;
  readonly digest: (region: string) => RegionDigest | undefined;
  /** Keeps these regions alone: those of the policy in force. */
  readonly keep: (regions: ReadonlySet<string>) => void;
};

/** Bounded by `keep` and by the regions of the store's keys. */
export function createRegionSigns(): RegionSigns {
  const seenAt = new Map<string, Instant>();
  const digests = new Map<string, RegionDigest>();
  return {
    see: (region, now, ageMs = 0) => {
      const at = now - Math.max(0, ageMs);
      seenAt.set(region, Math.max(at, seenAt.get(region) ?? at));
    },
    setDigest: (digest) => {
      digests.set(digest.region, digest);
    },
    ageMs: (region, now) => {
      const at = seenAt.get(region);
      return at === undefined ? neverMs : Math.min(Math.max(0, Math.round(now - at)), neverMs);
    },
    digest: (region) => digests.get(region),
    keep: (regions) => {
      for (const map of [seenAt, digests]) {
        for (const region of map.keys()) if (!regions.has(region)) map.delete(region);
      }
    },
  };
}

export type RegionCondition = {
  /** down: its control plane lives and has no ready proxy. unknown: its control plane is silent. */
  readonly state: "ready" | "draining" | "down" | "unknown";
  readonly ageMs: number;
  readonly proxies: number;
};

/** How a region stands, for people. */
export function regionCondition(
  region: string,
  signs: RegionSigns,
  isDraining: boolean,
  now: Instant,
): RegionCondition {
  const ageMs = signs.ageMs(region, now);
  const proxies = signs.digest(region)?.proxies ?? 0;
  const alive = ageMs > staleMs ? "unknown" : proxies === 0 ? "down" : "ready";
  return { state: isDraining ? "draining" : alive, ageMs, proxies };
}

/** Regions that can answer: alive, with a ready proxy and an available backend; drained or not. */
export function readyRegions(
  regions: readonly string[],
  signs: RegionSigns,
  now: Instant,
): ReadonlySet<string> {
  return new Set(
    regions.filter((region) => {
      const hasBackend = signs.digest(region)?.pools.some((each) => each.available > 0) ?? false;
      return hasBackend && regionCondition(region, signs, false, now).state === "ready";
    }),
  );
}
