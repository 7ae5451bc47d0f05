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
import type { Policy } from "@meridian/proto/gen/policy_pb";
import type { Drains } from "../drain/index.ts";
import {
  isSignal,
  type JudgedBackend,
  noteOf,
  reasonLengthMax,
  type VerdictNote,
} from "../health/index.ts";
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
  /** Backends that are not healthy, sorted by name, with what speaks against them. */
  readonly verdicts: readonly VerdictNote[];
};

/** Source: reference 1.4 and 2.5. */
export const digestLimits = {
  everyMs: 10_000,
  gapMs: 1_000,
  poolsMax: 2_000,
  verdictsMax: 500,
} as const;

/** What was last written, and when. */
export type DigestWritten = { readonly digest: RegionDigest; readonly at: Instant };

/** When the digest must be written: a change at once but for a gap, no change each ten seconds. */
export function digestDueAt(written: DigestWritten | undefined, digest: RegionDigest): Instant {
  if (written === undefined) return Number.NEGATIVE_INFINITY;
  const isSame = meaningOf(written.digest) === meaningOf(digest);
  return written.at + (isSame ? digestLimits.everyMs : digestLimits.gapMs);
}

/** Evidence grows each second: by itself it is no reason to write. */
function meaningOf(digest: RegionDigest): string {
  const verdicts = digest.verdicts.map((each) => [each.backend, each.verdict]);
  return JSON.stringify({ ...digest, verdicts });
}

/** The digest of one region as its control plane sees it now. */
export function digestRegion(
  region: string,
  from: {
    readonly policy: Policy;
    readonly proxies: Proxies;
    readonly drains: Drains;
    readonly judged: (backend: string) => JudgedBackend | undefined;
    /** The digest in the store: what it says of a backend stands until somebody judges that anew. */
    readonly former: RegionDigest | undefined;
    readonly wall: WallTime;
  },
  now: Instant,
): RegionDigest {
  const pools = new Map<string, { backends: number; available: number }>();
  const verdicts: VerdictNote[] = [];
  for (const backend of from.policy.backends) {
    if (backend.region !== region || backend.weight === 0) continue;
    const judged = from.judged(backend.name);
    // Before there is a verdict, what most proxies hold out is out.
    const isOut =
      judged === undefined
        ? from.proxies.backend(region, backend.name, now).state === "ejected"
        : judged.verdict === "unhealthy";
    const isAvailable = !isOut && !from.drains.backends.has(backend.name);
    const note =
      judged === undefined
        ? from.former?.verdicts.find((each) => each.backend === backend.name)
        : noteOf(judged, { now, wall: from.wall });
    if (note !== undefined) verdicts.push(note);
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
    verdicts: verdicts
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
    read.push({ model, backends, available: Math.min(available, backends) });
  }
  return ok({ region, proxies, pools: read, verdicts: readVerdicts(value.verdicts) });
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
        sinceMs: Number.isSafeInteger(sinceMs) ? Math.max(0, Number(sinceMs)) : 0,
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
