// When sessions begin, and in which region: Poisson arrivals whose rate follows the sun, eight hours apart.

import type { Random } from "@meridian/proto/base";
import { exponential } from "../../kernel/draws.ts";
import type { Demand } from "./work.ts";

/** A day is an hour here: slow against every decision, and a run sees one part of it. */
export const dayMs = 3_600_000;

export type Start = { readonly atMs: number; readonly region: number };

/** A region's demand now, where 1 is its mean over the day. */
export function tide(
  { phase, peakToTrough, shares }: Pick<Demand, "phase" | "peakToTrough" | "shares">,
  region: number,
  atMs: number,
): number {
  const swing = (peakToTrough - 1) / (peakToTrough + 1);
  const turn = phase + atMs / dayMs + region / shares.length;
  return 1 + swing * Math.sin(2 * Math.PI * turn);
}

/** `perSecond`: sessions a second over all regions, in the mean over a day. Sorted by time. */
export function starts(demand: Demand, perSecond: number, random: Random): readonly Start[] {
  const { durationMs, shares, peakToTrough } = demand;
  const most = (2 * peakToTrough) / (peakToTrough + 1);
  const found: Start[] = [];
  shares.forEach((share, region) => {
    const draws = random.fork(`starts ${region}`);
    const gapMs = 1_000 / (perSecond * share * most);
    // Thinning (Lewis and Shedler, 1979): candidates at the highest rate, each kept with the chance of its moment.
    for (let atMs = exponential(draws, gapMs); atMs < durationMs; ) {
      if (draws.next() * most < tide(demand, region, atMs)) found.push({ atMs, region });
      atMs += exponential(draws, gapMs);
    }
  });
  return found.sort((a, b) => a.atMs - b.atMs);
}

/** A region by the demand of the moment, for arrivals whose times are recorded. */
export function drawRegion(demand: Demand, atMs: number, random: Random): number {
  const weights = demand.shares.map((share, region) => share * tide(demand, region, atMs));
  let rest = random.next() * weights.reduce((sum, each) => sum + each, 0);
  for (let region = 0; region < weights.length; region++) {
    rest -= weights[region] ?? 0;
    if (rest < 0) return region;
  }
  return weights.length - 1;
}
