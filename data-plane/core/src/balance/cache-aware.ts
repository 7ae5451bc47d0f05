// The backend that has seen most of the prompt, if one has seen half of it; else the one with the least expected work: what
// it still has to do, and the prompt without what its cache has of it, probably. Bounded load: who has much more to do than
// the others is passed over, whatever it has.
// Sources: Srivatsa et al., Preble (2024), which exploits a cache that saves more than half of a prompt's work, and explores
// otherwise; of the bound Mirrokni, Thorup, Zadimoghaddam, Consistent Hashing with Bounded Loads (2018).

import type { Random } from "@meridian/proto/base";
import { begin, creditOf, expectedWork, type Picker, sumWeights } from "./picker.ts";
import type { Shortlist } from "./shortlist.ts";

export const cacheAware: Picker = { name: "cache-aware", pick, score: expectedWork };

/** Of the prompt, as far as caches are trusted: who has more of it is stuck to, as what it saves is saved for all who wait. */
const stuckShare = 0.4;

/** A backend may have so many times the mean to do, or so many tokens more: a pool with little to do has no bound. */
const bound = { factor: 1.25, tokens: 8_192 } as const;

function pick(list: Shortlist, random: Random): number {
  const total = sumWeights(list);
  if (total <= 0) return -1;
  begin(list, random);
  const mean = sumPending(list) / total;
  const most = Math.max(mean * bound.factor, mean + bound.tokens);
  let chosen = -1;
  let least = Number.POSITIVE_INFINITY;
  let hits = 0;
  const stuckHits = stuckShare * list.work.promptTokens;
  for (let entry = 0; entry < list.count; entry++) {
    const weight = list.weights[entry] ?? 0;
    if (weight <= 0 || (list.pending[entry] ?? 0) / weight > most) continue;
    const work = expectedWork(list, entry);
    // Below the share all are alike: the work decides.
    const own = list.hits[entry] ?? 0;
    const held = own > stuckHits ? own : 0;
    if (held < hits) continue;
    const isMore = held > hits || chosen === -1;
    if (!isMore && !isBetter(list, entry, chosen, work - least)) continue;
    chosen = entry;
    least = work;
    hits = held;
  }
  list.memory.spend(list, chosen, total);
  return chosen;
}

/** `more`: the work expected of the one beyond that of the other. */
function isBetter(list: Shortlist, one: number, other: number, more: number): boolean {
  // Where nobody has anything to do, the heaviest would get all: turns by weight instead.
  if (isUnused(list, one) && isUnused(list, other)) return isBehind(list, one, other);
  if (more !== 0) return more < 0;
  const load = (list.pending[one] ?? 0) - (list.pending[other] ?? 0);
  return load === 0 ? isBehind(list, one, other) : load < 0;
}

function isBehind(list: Shortlist, one: number, other: number): boolean {
  return creditOf(list, one) > creditOf(list, other);
}

function isUnused(list: Shortlist, entry: number): boolean {
  return list.inFlight[entry] === 0 && list.pending[entry] === 0 && list.hits[entry] === 0;
}

/** Of those with weight, which the mean is of. */
function sumPending(list: Shortlist): number {
  let sum = 0;
  for (let entry = 0; entry < list.count; entry++) {
    if ((list.weights[entry] ?? 0) > 0) sum += list.pending[entry] ?? 0;
  }
  return sum;
}
