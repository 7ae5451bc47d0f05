// What this proxy tells DNS and routers about its region: whether clients should be sent there, and how many.
// Pure: numbers and `now` in, verdict out. Source: reference multiregion 5 and 6.2.

import type { TargetReport } from "@meridian/data-core/engine";
import type { Instant } from "@meridian/proto/base";

export type RegionStanding = "ready" | "degraded" | "down" | "draining" | "unknown";

export type RegionEvidence = {
  /** An operator's order, by the newest state frame; kept when no more come. */
  readonly isDrained: boolean;
  /** This proxy is stopping. */
  readonly isStopping: boolean;
  readonly hasSnapshot: boolean;
  /** Backends of the region that may be chosen now, of all. */
  readonly available: number;
  readonly backends: number;
  /** Share of the region's nominal capacity that may be used now, 0 to 1: see `capacityShare`. */
  readonly capacity: number;
  /** Why clients' requests fail here; undefined: they are answered. */
  readonly edgeTrouble: string | undefined;
};

export type RegionVerdict = {
  readonly standing: RegionStanding;
  /** Since when it stands so. */
  readonly since: Instant;
  /** 0 to 255: the share of the region's capacity that is available. */
  readonly weight: number;
  readonly reason: string;
  /** When capacity last was too low to return; for the hysteresis. */
  readonly lowAt: Instant | undefined;
};

/** A region is left below 30 % of its capacity and comes back after 60 s at 50 % or more. */
const leaveBelow = 0.3;
const returnFrom = 0.5;
const returnAfterMs = 60_000;

export function initialVerdict(now: Instant): RegionVerdict {
  return {
    standing: "unknown",
    since: now,
    weight: 0,
    reason: "no snapshot yet",
    lowAt: undefined,
  };
}

/**
 * Weights times the shares that the verdicts leave, over all weights: a degraded backend counts half, one on its way back
 * as far as it has come, one that is out or drained not at all. `weights`: of the policy; 1 where it says nothing.
 */
export function capacityShare(
  backends: readonly Pick<TargetReport, "name" | "available" | "told">[],
  weights: ReadonlyMap<string, number>,
): number {
  let nominal = 0;
  let usable = 0;
  for (const { name, available, told } of backends) {
    const weight = weights.get(name) ?? 1;
    nominal += weight;
    if (available) usable += weight * (told?.share ?? 1);
  }
  return nominal === 0 ? 0 : usable / nominal;
}

export function judgeRegion(
  former: RegionVerdict,
  evidence: RegionEvidence,
  now: Instant,
): RegionVerdict {
  const share = evidence.capacity;
  const lowAt = evidence.hasSnapshot && share < returnFrom ? now : former.lowAt;
  const [standing, reason] = stand(former, evidence, { share, lowAt, now });
  const open = standing === "ready" || standing === "degraded";
  return {
    standing,
    since: standing === former.standing ? former.since : now,
    weight: open ? Math.min(255, Math.round(255 * share)) : 0,
    reason,
    lowAt,
  };
}

/**
 * Whether clients may be sent here. Where nothing is known the answer is yes if anything can be reached: a router that
 * lost its control plane must not take its region off the map.
 */
export function isOpenToClients(
  verdict: RegionVerdict,
  evidence: RegionEvidence,
  peersAvailable: number,
): boolean {
  if (verdict.standing === "unknown") {
    const canAnswer = evidence.hasSnapshot && evidence.available + peersAvailable > 0;
    return canAnswer && evidence.edgeTrouble === undefined;
  }
  return verdict.standing === "ready" || verdict.standing === "degraded";
}

function stand(
  former: RegionVerdict,
  evidence: RegionEvidence,
  at: { readonly share: number; readonly lowAt: Instant | undefined; readonly now: Instant },
): readonly [RegionStanding, string] {
  const percent = Math.round(100 * at.share);
  const counted = `${evidence.available} of ${evidence.backends} backends available, ${percent} % of the capacity`;
  if (evidence.isStopping) return ["draining", "this proxy is stopping"];
  if (!evidence.hasSnapshot) return ["unknown", "no snapshot yet"];
  if (evidence.isDrained) return ["draining", "the region is drained by an operator"];
  if (evidence.backends === 0) return ["unknown", "the region has no backends"];
  if (at.share < leaveBelow) return ["down", counted];
  if (evidence.edgeTrouble !== undefined) return ["down", evidence.edgeTrouble];
  const recovering = at.lowAt !== undefined && at.now - at.lowAt < returnAfterMs;
  if (former.standing === "down" && recovering) return ["down", `${counted}, not yet for 60 s`];
  return [at.share < returnFrom ? "degraded" : "ready", counted];
}
