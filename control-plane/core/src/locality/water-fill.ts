// Where one model's demand is served by preference: each region's own clients first, what is beyond that in the nearest
// region with room, and what nobody has room for everywhere alike. Every control plane computes it from the same
// digests, so nothing needs to be negotiated (reference 3.2). Pure, and the same whatever the order of its input.

import { kmBetween, type Place } from "@meridian/proto/base";

/** How full a region is filled before its demand goes elsewhere: beyond it queues grow faster than work is done. */
export const fullShare = 0.85;

/** One region's backends of one model. All figures are tokens a second. */
export type FillPool = {
  readonly region: string;
  readonly place: Place | undefined;
  /** What it can do for its own clients; undefined: not known. */
  readonly capacity: number | undefined;
  /** What other regions may count on: 0 when it is drained or down, less when it has been silent. Not above `capacity`. */
  readonly offered: number;
  /** Of its own clients. */
  readonly demand: number;
};

/** One region's row: where the demand of its own clients goes. The parts add up to its demand. */
export type FillRow = {
  readonly home: number;
  /** To each other region whose capacity is known, 0 included, sorted by name. */
  readonly away: ReadonlyMap<string, number>;
};

type Side = FillPool & { readonly capacity: number; rest: number; home: number; room: number };

type Pair = { readonly from: Side; readonly to: Side; readonly km: number };

/**
 * The rows of regions whose capacity is known. A region of unknown capacity has no row and is in nobody's: there is no
 * bound between it and others, which is for the proxies to know.
 *
 * @example fillPools([{ region: "eu", capacity: 100, offered: 100, demand: 185, … }, …]).get("eu")
 * // → { home: 85, away: Map { "us" → 85, "ap" → 15 } }
 */
export function fillPools(pools: readonly FillPool[]): ReadonlyMap<string, FillRow> {
  const sides = pools.flatMap(sideOf).sort((a, b) => compareNames(a.region, b.region));
  const pairs = pairsByCost(sides);
  const flows = new Map(pairs.map((pair) => [pair, 0]));
  overflow(sides, pairs, flows);
  spreadRemainder(sides, pairs, flows);
  return new Map(sides.map((side) => [side.region, rowOf(side, pairs, flows)]));
}

function sideOf(pool: FillPool): readonly Side[] {
  const { capacity, offered, demand } = pool;
  if (capacity === undefined) return [];
  const home = Math.min(demand, fullShare * capacity);
  const room = Math.max(0, fullShare * Math.min(offered, capacity) - home);
  return [{ ...pool, capacity, home, rest: demand - home, room }];
}

/** Near pairs first; the names decide between equals, so that the order of the input does not. */
function pairsByCost(sides: readonly Side[]): readonly Pair[] {
  const pairs = sides.flatMap((from) =>
    sides
      .filter((to) => to !== from)
      .map((to) => ({ from, to, km: kmBetween(from.place, to.place) })),
  );
  return pairs.sort(
    (a, b) =>
      a.km - b.km ||
      compareNames(a.from.region, b.from.region) ||
      compareNames(a.to.region, b.to.region),
  );
}

/** As far as `room` reaches. */
function overflow(sides: readonly Side[], pairs: readonly Pair[], flows: Map<Pair, number>): void {
  if (!sides.some((each) => each.rest > 0)) return;
  for (const pair of pairs) {
    const { from, to } = pair;
    const tokens = Math.min(from.rest, to.room);
    if (tokens <= 0) continue;
    flows.set(pair, (flows.get(pair) ?? 0) + tokens);
    from.rest -= tokens;
    to.room -= tokens;
  }
}

/**
 * There is more demand than room: each region takes of the rest in proportion to what it can do, so that all are equally
 * overfull. Its own clients' part of it stays at home: two full regions that exchanged their demand would gain nothing.
 */
function spreadRemainder(
  sides: readonly Side[],
  pairs: readonly Pair[],
  flows: Map<Pair, number>,
): void {
  const rest = sides.reduce((sum, each) => sum + each.rest, 0);
  const offered = sides.reduce((sum, each) => sum + each.offered, 0);
  if (rest > 0 && offered > 0) {
    for (const side of sides) {
      side.room = (rest * side.offered) / offered;
      const stays = Math.min(side.rest, side.room);
      side.home += stays;
      side.rest -= stays;
      side.room -= stays;
    }
    overflow(sides, pairs, flows);
  }
  // Nobody at all has anything to offer, or the last digit of a sum of fractions.
  for (const side of sides) side.home += side.rest;
}

function rowOf(side: Side, pairs: readonly Pair[], flows: ReadonlyMap<Pair, number>): FillRow {
  const away = pairs.filter((each) => each.from === side);
  const tokens = away.map((pair) => [pair.to.region, flows.get(pair) ?? 0] as const);
  return {
    home: side.home,
    away: new Map(tokens.sort(([a], [b]) => compareNames(a, b))),
  };
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
