// Which backend a session goes to: the same one for every proxy that knows the same backends, with nobody to ask and
// nothing to remember. Weighted rendezvous hashing: of those that can take the request the one with the highest score.
// A backend that comes or goes moves the sessions that are or were its own, and no others.
// Sources: Thaler and Ravishankar, Using Name-Based Mappings to Increase Hit Rates (1998); Schindelhauer and Schomaker,
// Weighted Distributed Hash Tables (2005), for the logarithm.

import type { Shortlist } from "./shortlist.ts";

/**
 * The session's slot among those on the list; undefined: nobody on it has weight. `names`: hashes of
 * the names of the pool's backends, by place. A weight twice as large is home to twice as many sessions.
 *
 * @example sessionSlot(list, pool.nameHashes, fnv1a("chat-7"))
 */
export function sessionSlot(
  list: Shortlist,
  names: readonly number[],
  session: number,
): number | undefined {
  let best = -1;
  let bestScore = 0;
  for (let entry = 0; entry < list.count; entry++) {
    const weight = list.weights[entry] ?? 0;
    if (weight <= 0) continue;
    // Never 0 nor 1, so that the logarithm is a number below 0.
    const point = (mix(session, names[list.places[entry] ?? -1] ?? 0) + 0.5) / 2 ** 32;
    const score = -weight / Math.log(point);
    if (score <= bestScore) continue;
    best = entry;
    bestScore = score;
  }
  return best === -1 ? undefined : list.slots[best];
}

/** Both together, each bit of both in each bit of the result: the finaliser of MurmurHash3, twice. */
function mix(session: number, name: number): number {
  return finalise(finalise(session) ^ name);
}

function finalise(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
