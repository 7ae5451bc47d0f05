// What a picker is. Every picker passes picker.contract.ts.

import type { Random } from "@meridian/proto/base";

/**
 * Chooses one of the targets that may be called now.
 *
 * Rules that each implementation keeps: the result is a place in `pool.slots`, or -1 when no weight is above 0;
 * a weight of 0 is never chosen; equal weight and load mean equal shares; double the weight means about double the
 * share; every target with weight is chosen sooner or later.
 *
 * @example pick({ slots: [3, 7], weights: [1, 2], load, tokens: 900 }, random) // → 1
 */
export type Picker = {
  readonly name: string;
  readonly pick: (pool: PickablePool, random: Random) => number;
  /** What it compares of a place with weight, for the decision record: less is better. Chance has its part, too. */
  readonly score: (pool: PickablePool, place: number) => number;
};

export type PickablePool = {
  readonly slots: readonly number[];
  /** Policy weight × share by health, in the order of `slots`. */
  readonly weights: readonly number[];
  readonly load: LoadView;
  /** What the request at hand adds. */
  readonly tokens: number;
};

/** The part of the load table that a picker reads. */
export type LoadView = {
  readonly inFlight: (slot: number) => number;
  readonly pendingTokens: (slot: number) => number;
};
