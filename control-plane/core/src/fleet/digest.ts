// What a region's control plane tells the other regions: a few whole numbers, written when they change and otherwise
// now and then. Samples never go into the store (reference 2.5).

import {
  err,
  type Instant,
  ok,
  type Problem,
  problem,
  type Result,
  type WallTime,
} from "@meridian/proto/base";
import { isSignal, noteOf, reasonLengthMax, type VerdictNote } from "../health/index.ts";
import { countPools, type PoolCounts, type PoolSources } from "./pool-counts.ts";

/** JSON under the region's digest key. */
export type RegionDigest = {
  readonly region: string;
  /** Proxies that are ready; above 100 rounded down to two digits, so that it seldom changes. */
  readonly proxies: number;
  /** Sorted by model. */
  readonly pools: readonly PoolCounts[];
  /** Backends that are not healthy, sorted by name, with what speaks against them. */
  readonly verdicts: readonly VerdictNote[];
};

export const digestLimits = {
  poolsMax: 2_000,
  verdictsMax: 500,
} as const;

export type DigestSources = PoolSources & {
  /** The digest in the store: what it says of a backend stands until somebody judges that anew. */
  readonly former: RegionDigest | undefined;
  readonly wall: WallTime;
};

/** The digest of one region as its control plane sees it now. */
export function digestRegion(region: string, from: DigestSources, now: Instant): RegionDigest {
  const notes = from.policy.backends.flatMap(({ name, region: home, weight }) => {
    if (home !== region || weight === 0) return [];
    const judged = from.judged(name);
    const note =
      judged === undefined
        ? from.former?.verdicts.find((each) => each.backend === name)
        : noteOf(judged, { now, wall: from.wall });
    return note === undefined ? [] : [note];
  });
  const ready = from.proxies.list(now).filter((each) => each.region === region && each.isReady);
  return {
    region,
    proxies: roundCount(ready.length),
    pools: countPools(region, from, now),
    verdicts: [...notes]
      .sort((a, b) => (a.backend < b.backend ? -1 : 1))
      .slice(0, digestLimits.verdictsMax),
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
    read.push({ model, backends, available: Math.min(available, backends), ...readLoad(pool) });
  }
  return ok({ region, proxies, pools: read, verdicts: readVerdicts(value.verdicts) });
}

/** A build without the region table tells nothing of loads: then its region's capacity is not known. */
function readLoad(pool: unknown): Pick<PoolCounts, "capacity" | "demand" | "pending"> {
  const { capacity, demand, pending } = isRecord(pool) ? pool : {};
  return {
    capacity: isCount(capacity) ? capacity : undefined,
    demand: isCount(demand) ? demand : 0,
    pending: isCount(pending) ? pending : 0,
  };
}

/** One that can't be read is left out rather than the digest refused: the counts are what routing needs. */
function readVerdicts(value: unknown): readonly VerdictNote[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, digestLimits.verdictsMax).flatMap((each: unknown) => {
    const { backend, verdict, signal, n, bad, sinceMs, ejections, reason } = isRecord(each)
      ? each
      : {};
    const isVerdict = verdict === "degraded" || verdict === "unhealthy";
    if (typeof backend !== "string" || !isVerdict || !isCount(n) || !isCount(bad)) return [];
    const text = typeof reason === "string" ? reason.slice(0, reasonLengthMax) : "";
    return [
      {
        backend,
        verdict,
        // Builds before this one told no signal, no time and no ejections.
        signal: isSignal(signal) ? signal : "failure",
        n,
        bad,
        sinceMs: typeof sinceMs === "number" && Number.isFinite(sinceMs) ? sinceMs : 0,
        ejections: isCount(ejections) ? ejections : 0,
        reason: text,
      },
    ];
  });
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
