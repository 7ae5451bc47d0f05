// Two random choices by weight, then the one with fewer outstanding tokens for its weight.
// Source: Mitzenmacher, The Power of Two Choices in Randomized Load Balancing (2001).

import type { Random } from "@meridian/proto/base";
import { begin, creditOf, expectedWork, type Picker, sumWeights } from "./picker.ts";
import type { Shortlist } from "./shortlist.ts";

/** Does not herd onto the idlest one, which every other proxy of the region sees, too. */
export const leastOutstanding: Picker = { name: "least-outstanding", pick, score };

function pick(list: Shortlist, random: Random): number {
  const total = sumWeights(list);
  if (total <= 0) return -1;
  begin(list, random);
  const first = drawByWeight(list, random.next() * total, -1);
  const rest = total - (list.weights[first] ?? 0);
  const second = rest <= 0 ? first : drawByWeight(list, random.next() * rest, first);
  const chosen = isBetter(list, second, first) ? second : first;
  list.memory.spend(list, chosen, total);
  return chosen;
}

/** Of two that have nothing to do the one that is behind its share: else the one with more weight would get all. */
function isBetter(list: Shortlist, one: number, other: number): boolean {
  const difference = score(list, one) - score(list, other);
  if (difference === 0 || (isIdle(list, one) && isIdle(list, other))) {
    return creditOf(list, one) > creditOf(list, other);
  }
  return difference < 0;
}

function isIdle(list: Shortlist, entry: number): boolean {
  return list.inFlight[entry] === 0 && list.pending[entry] === 0;
}

/** The cache is not asked. */
function score(list: Shortlist, entry: number): number {
  return expectedWork(list, entry) + (list.hits[entry] ?? 0) / (list.weights[entry] ?? 1);
}

/** The entry where the running sum of the weights, without `skip`, passes `point`. */
function drawByWeight(list: Shortlist, point: number, skip: number): number {
  let rest = point;
  let last = -1;
  for (let entry = 0; entry < list.count; entry++) {
    const weight = list.weights[entry] ?? 0;
    if (entry === skip || weight <= 0) continue;
    last = entry;
    rest -= weight;
    if (rest < 0) return entry;
  }
  // Rounding left a trace of the point: the last one that has weight.
  return last;
}
