// In which order other regions are asked: known to have room, then not known, then known to have none; of equals who
// answers soonest. The older a region's word is, the later it counts.

import { trustAt } from "../sync/index.ts";

/** What is known of a region. */
export type RegionView = {
  readonly name: string;
  /** Until its first token, as expected from here. */
  readonly firstTokenMs: number;
  readonly state: RegionStateView | undefined;
};

export type RegionStateView = {
  readonly draining: boolean;
  /** Age of the region's digest now, the age of the frame included. */
  readonly ageMs: number;
  /**
   * Backends that may answer, over the models in question, discounted by the digest's age; undefined: the frame does not
   * say.
   */
  readonly available: number | undefined;
};

export type RegionStanding = "available" | "unknown" | "exhausted";

export type RankedRegion = {
  readonly name: string;
  /** Divided by the trust in a word that ages: one of half its worth counts as twice as late. */
  readonly firstTokenMs: number;
  readonly standing: RegionStanding;
};

/** Draining regions are left out; a drain ends by itself, so one that outlives its control plane does no harm. */
export function rankRegions(regions: readonly RegionView[]): readonly RankedRegion[] {
  const ranked: RankedRegion[] = [];
  for (const { name, firstTokenMs, state } of regions) {
    const standing = regionStanding(state);
    if (standing === "draining") continue;
    const trust = standing === "unknown" ? 1 : trustAt(state?.ageMs ?? 0);
    ranked.push({ name, firstTokenMs: firstTokenMs / trust, standing });
  }
  return ranked.sort(compareRanks);
}

/**
 * What its digest says, as far as that still says anything. Exhausted regions stay in the list, last: their refusal costs
 * one round trip, a wrong digest would cost the request.
 */
export function regionStanding(state: RegionStateView | undefined): RegionStanding | "draining" {
  if (state?.draining === true) return "draining";
  if (state === undefined || trustAt(state.ageMs) === 0) return "unknown";
  if (state.available === undefined) return "unknown";
  return state.available > 0 ? "available" : "exhausted";
}

const standingRank = { available: 0, unknown: 1, exhausted: 2 } as const;

function compareRanks(a: RankedRegion, b: RankedRegion): number {
  const byStanding = standingRank[a.standing] - standingRank[b.standing];
  if (byStanding !== 0) return byStanding;
  if (a.firstTokenMs !== b.firstTokenMs) return a.firstTokenMs - b.firstTokenMs;
  return a.name < b.name ? -1 : 1;
}
