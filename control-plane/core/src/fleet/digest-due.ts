// When a digest is worth a write: what changed by itself each second is no news, as the store is for few writes
// (reference 2.5).

import type { Instant } from "@meridian/proto/base";
import type { RegionDigest } from "./digest.ts";
import type { PoolCounts } from "./pool-counts.ts";

/** Source: reference 1.4 and 2.5. */
const everyMs = 10_000;
const gapMs = 1_000;

/** What was last written, and when. */
export type DigestWritten = { readonly digest: RegionDigest; readonly at: Instant };

/** When the digest must be written: news at once but for a gap, no news each ten seconds. */
export function digestDueAt(written: DigestWritten | undefined, digest: RegionDigest): Instant {
  if (written === undefined) return Number.NEGATIVE_INFINITY;
  return written.at + (isNews(written.digest, digest) ? gapMs : everyMs);
}

function isNews(former: RegionDigest, digest: RegionDigest): boolean {
  if (meaningOf(former) !== meaningOf(digest)) return true;
  return digest.pools.some((pool, at) => {
    const before = former.pools[at];
    return before === undefined || isLoadNews(before, pool);
  });
}

/** Evidence grows and load sways: by themselves they are no reason to write. */
function meaningOf(digest: RegionDigest): string {
  const verdicts = digest.verdicts.map((each) => [each.backend, each.verdict]);
  const pools = digest.pools.map(({ model, backends, available, capacity }) => [
    model,
    backends,
    available,
    capacity === undefined,
  ]);
  return JSON.stringify({ ...digest, verdicts, pools });
}

/** What would change the region table by a few percent, or the wait there by half. */
function isLoadNews(before: PoolCounts, now: PoolCounts): boolean {
  const capacity = now.capacity ?? 0;
  const demandBy = Math.max(0.2 * before.demand, 0.05 * capacity, 50);
  const pendingBy = Math.max(0.5 * before.pending, capacity, 5_000);
  return (
    differs(before.capacity ?? 0, capacity, 0.1 * (before.capacity ?? 0)) ||
    differs(before.demand, now.demand, demandBy) ||
    differs(before.pending, now.pending, pendingBy)
  );
}

function differs(before: number, now: number, by: number): boolean {
  return Math.abs(now - before) > by;
}
