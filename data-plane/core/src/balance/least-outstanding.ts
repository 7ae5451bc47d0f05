// Two random choices by weight, then the one with fewer outstanding tokens for its weight.
// Source: Mitzenmacher, The Power of Two Choices in Randomized Load Balancing (2001).

import type { Random } from "@meridian/proto/base";
import type { PickablePool, Picker } from "./picker.ts";

/** Reads two targets' load per pick whatever the size of the pool, and does not herd onto the idlest one. */
export const leastOutstanding: Picker = { name: "least-outstanding", pick, score: cost };

function pick(pool: PickablePool, random: Random): number {
  const total = sumWeights(pool.weights);
  if (total <= 0) return -1;
  const first = drawByWeight(pool.weights, random.next() * total, -1);
  const rest = total - (pool.weights[first] ?? 0);
  if (rest <= 0) return first;
  const second = drawByWeight(pool.weights, random.next() * rest, first);
  return cost(pool, second) < cost(pool, first) ? second : first;
}

/** Outstanding work per weight, as it would be with the request at hand. */
function cost(pool: PickablePool, place: number): number {
  const slot = pool.slots[place] ?? 0;
  const tokens = pool.load.pendingTokens(slot) + pool.tokens;
  return (tokens + pool.load.inFlight(slot)) / (pool.weights[place] ?? 1);
}

function sumWeights(weights: readonly number[]): number {
  let total = 0;
  for (const weight of weights) total += weight;
  return total;
}

/** The place where the running sum of the weights, without `skip`, passes `point`. */
function drawByWeight(weights: readonly number[], point: number, skip: number): number {
  let rest = point;
  let last = -1;
  for (let place = 0; place < weights.length; place++) {
    const weight = weights[place] ?? 0;
    if (place === skip || weight <= 0) continue;
    last = place;
    rest -= weight;
    if (rest < 0) return place;
  }
  // Rounding left a trace of the point: the last one that has weight.
  return last;
}
