// What a picker is. Every picker passes picker.contract.ts.

import type { Random } from "@meridian/proto/base";
import type { Shortlist } from "./shortlist.ts";

/**
 * Chooses one of the backends that may be called now.
 *
 * Rules that each implementation keeps: the result is an entry of the list, or -1 when no weight is above 0; a weight of
 * 0 is never chosen; equal weight and load mean equal shares; double the weight means about double the share; every
 * backend with weight is chosen sooner or later; nothing is allocated.
 *
 * @example pick(list, random) // → 1
 */
export type Picker = {
  readonly name: string;
  readonly pick: (list: Shortlist, random: Random) => number;
  /** What it compares of an entry with weight, for the decision record: less is better. Turns and chance decide, too. */
  readonly score: (list: Shortlist, entry: number) => number;
};

/** Outstanding work per weight, as it would be with the request at hand. */
export function expectedWork(list: Shortlist, entry: number): number {
  const pending = (list.pending[entry] ?? 0) + (list.inFlight[entry] ?? 0);
  return (pending + list.work.tokens - (list.hits[entry] ?? 0)) / (list.weights[entry] ?? 1);
}

export function sumWeights(list: Shortlist): number {
  let total = 0;
  for (let entry = 0; entry < list.count; entry++) total += list.weights[entry] ?? 0;
  return total;
}

/** How far an entry is behind its share. */
export function creditOf(list: Shortlist, entry: number): number {
  return list.memory.credits[list.places[entry] ?? 0] ?? 0;
}

/** The first choices of all proxies of a region would be the same ones, if all began alike. */
export function begin({ memory }: Shortlist, random: Random): void {
  if (!memory.isFresh) return;
  memory.isFresh = false;
  memory.cursor = random.integer(memory.credits.length) - 1;
  for (let place = 0; place < memory.credits.length; place++) {
    memory.credits[place] = random.next();
  }
}
