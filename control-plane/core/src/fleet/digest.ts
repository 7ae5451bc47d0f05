// What a region's control plane tells the other regions: a few whole numbers, written when they change and otherwise
// now and then. Samples never go into the store (reference 2.5).

import { err, type Instant, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import type { Policy } from "@meridian/proto/gen/policy_pb";
import type { Drains } from "../drain/index.ts";
import type { Proxies } from "./proxies.ts";

/** One region's backends of one model. */
export type PoolCounts = {
  readonly model: string;
  readonly backends: number;
  /** Neither draining nor ejected. Without a fresh proxy to say so, none counts as ejected. */
  readonly available: number;
};

/** JSON under the region's digest key. */
export type RegionDigest = {
  readonly region: string;
  /** Proxies that are ready; above 100 rounded down to two digits, so that it seldom changes. */
  readonly proxies: number;
  /** Sorted by model. */
  readonly pools: readonly PoolCounts[];
};

/** Source: reference 1.4 and 2.5. */
export const digestLimits = { everyMs: 10_000, gapMs: 1_000, poolsMax: 2_000 } as const;

/** What was last written, and when. */
export type DigestWritten = { readonly digest: RegionDigest; readonly at: Instant };

/** When the digest must be written: a change at once but for a gap, no change each ten seconds. */
export function digestDueAt(written: DigestWritten | undefined, digest: RegionDigest): Instant {
  if (written === undefined) return Number.NEGATIVE_INFINITY;
  const isSame = JSON.stringify(written.digest) === JSON.stringify(digest);
  return written.at + (isSame ? digestLimits.everyMs : digestLimits.gapMs);
}

/** The digest of one region as its control plane sees it now. */
export function digestRegion(
  region: string,
  from: { readonly policy: Policy; readonly proxies: Proxies; readonly drains: Drains },
  now: Instant,
): RegionDigest {
  const pools = new Map<string, { backends: number; available: number }>();
  for (const backend of from.policy.backends) {
    if (backend.region !== region || backend.weight === 0) continue;
    const { state } = from.proxies.backend(region, backend.name, now);
    const isAvailable = state !== "ejected" && !from.drains.backends.has(backend.name);
    for (const { model } of backend.serves) {
      const pool = pools.get(model) ?? { backends: 0, available: 0 };
      pool.backends += 1;
      if (isAvailable) pool.available += 1;
      pools.set(model, pool);
    }
  }
  const ready = from.proxies.list(now).filter((each) => each.region === region && each.isReady);
  return {
    region,
    proxies: roundCount(ready.length),
    pools: [...pools]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([model, counts]) => ({ model, ...counts })),
  };
}

/** A digest out of the store, whoever wrote it. */
export function parseDigest(region: string, value: unknown): Result<RegionDigest, Problem> {
  const path = `rt/${region}/digest`;
  if (!isRecord(value)) return err(problem("wrong_type", path, "the digest is not an object"));
  const { proxies, pools } = value;
  if (!isCount(proxies) || !Array.isArray(pools) || pools.length > digestLimits.poolsMax) {
    return err(problem("wrong_type", path, "the digest lacks proxies or pools"));
  }
  const read: PoolCounts[] = [];
  for (const pool of pools) {
    const { model, backends, available } = isRecord(pool) ? pool : {};
    if (typeof model !== "string" || !isCount(backends) || !isCount(available)) {
      return err(problem("wrong_type", `${path}/pools`, "a pool of the digest is none"));
    }
    read.push({ model, backends, available: Math.min(available, backends) });
  }
  return ok({ region, proxies, pools: read });
}

function roundCount(count: number): number {
  return count < 100 ? count : Math.floor(count / 10) * 10;
}

function isRecord(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}
