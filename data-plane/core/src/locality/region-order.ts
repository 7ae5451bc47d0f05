// In which order other regions are asked: known to have room, then not known, then known to have none; of equals who
// answers soonest.

/** A digest older than this says nothing about now. Heartbeats come more often. */
export const digestFreshMs = 15_000;

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
  /** Backends that may answer, over the models in question; undefined: the frame does not say. */
  readonly available: number | undefined;
};

export type RegionStanding = "available" | "unknown" | "exhausted";

export type RankedRegion = {
  readonly name: string;
  readonly firstTokenMs: number;
  readonly standing: RegionStanding;
};

/** Draining regions are left out; a drain ends by itself, so one that outlives its control plane does no harm. */
export function rankRegions(regions: readonly RegionView[]): readonly RankedRegion[] {
  const ranked: RankedRegion[] = [];
  for (const { name, firstTokenMs, state } of regions) {
    const standing = regionStanding(state);
    if (standing !== "draining") ranked.push({ name, firstTokenMs, standing });
  }
  return ranked.sort(compareRanks);
}

/** Exhausted regions stay in the list, last: their refusal costs one round trip, a wrong digest would cost the request. */
function regionStanding(state: RegionStateView | undefined): RegionStanding | "draining" {
  if (state?.draining === true) return "draining";
  if (state === undefined || state.ageMs > digestFreshMs) return "unknown";
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
