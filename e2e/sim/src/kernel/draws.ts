// Distributions over the seeded generator.

import type { Random } from "@meridian/proto/base";

/** Waiting time of a Poisson process. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.next()) * mean;
}

/** Standard normal, by Box and Muller; the second number of the pair is thrown away, so that each call stands alone. */
export function normal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
  return radius * Math.cos(2 * Math.PI * random.next());
}

/** `median × e^(sigma × N)` */
export function logNormal(random: Random, median: number, sigma: number): number {
  return median * Math.exp(sigma * normal(random));
}

/** Trials up to the first success, at least 1. */
export function geometric(random: Random, mean: number): number {
  if (mean <= 1) return 1;
  return 1 + Math.floor(Math.log(1 - random.next()) / Math.log(1 - 1 / mean));
}

/** Ranks 0 to count - 1 with chances as 1 / (rank + 1)^exponent. */
export class Zipf {
  readonly #sums: Float64Array;

  constructor(count: number, exponent = 1) {
    this.#sums = new Float64Array(count);
    let sum = 0;
    for (let rank = 0; rank < count; rank++) {
      sum += 1 / (rank + 1) ** exponent;
      this.#sums[rank] = sum;
    }
  }

  draw(random: Random): number {
    const sums = this.#sums;
    const aim = random.next() * (sums[sums.length - 1] ?? 0);
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) > aim) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** In an order that the generator decides; the list itself is left alone. */
export function shuffled<T>(random: Random, list: readonly T[]): T[] {
  const out = [...list];
  for (let at = out.length - 1; at > 0; at--) {
    const other = random.integer(at + 1);
    const held = out[at];
    const swapped = out[other];
    // Both places lie within the list.
    if (held === undefined || swapped === undefined) continue;
    out[at] = swapped;
    out[other] = held;
  }
  return out;
}
