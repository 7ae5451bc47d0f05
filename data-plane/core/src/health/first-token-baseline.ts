// What a backend's first token usually takes, by the length of the input: the bound beyond which a wait is slow. Learned
// from the backend's own requests, so that a large model is not slow for being large. Pure; times are arguments.

import type { Instant } from "@meridian/proto/base";

/** Requests without which nothing is said: a bound from few would call chance slow. */
export const baselineRequestsMin = 50;

/** A guess at where a request is best off may rest on fewer. */
const fitRequestsMin = 8;

/** How long what was seen counts: half of it is forgotten in so long. */
const halfLifeMs = 12 * 3_600_000;
/** And no more than so many requests count, so that a change of the model is learned within a day's traffic. */
const weightMax = 20_000;

/** The share of usual waits that lie below the bound. */
const quantile = 0.95;
/** No wait below this is slow: the clock and the network are no finer. */
const boundMinMs = 25;

/** Bins of the ratio of a wait to what was expected, 10 % apart from 1/32 to 32. */
const bins = 74;
const perBin = Math.log(1.1);
const lowest = -36;

/**
 * Expected first token `a + m · input`, by least squares with forgetting, and the distribution of what came over it.
 *
 * @example
 * baseline.learn({ inputTokens: 1_200, firstTokenMs: 340 }, now);
 * baseline.boundMs(1_200); // Infinity until it has seen enough, then for instance 520
 */
export class FirstTokenBaseline {
  readonly #ratios = new Float64Array(bins);
  #weight = 0;
  #sumX = 0;
  #sumY = 0;
  #sumXX = 0;
  #sumXY = 0;
  #a = 0;
  #m = 0;
  #q95 = 0;
  #seen = 0;
  #at: Instant = Number.NEGATIVE_INFINITY;

  /** Requests that it rests on. */
  get requests(): number {
    return this.#seen;
  }

  /** One request that got its first token. Don't call it while an alarm builds: the new would become the usual. */
  learn(
    { inputTokens, firstTokenMs }: { readonly inputTokens: number; readonly firstTokenMs: number },
    now: Instant,
  ): void {
    this.#fade(now);
    const expected = this.expectedMs(inputTokens);
    this.#seen += 1;
    this.#weight += 1;
    this.#sumX += inputTokens;
    this.#sumY += firstTokenMs;
    this.#sumXX += inputTokens * inputTokens;
    this.#sumXY += inputTokens * firstTokenMs;
    this.#fit();
    // Before there is something to compare with, the request's own fit is the best guess.
    const against = this.#seen <= 10 ? this.expectedMs(inputTokens) : expected;
    const bin = binOf(firstTokenMs / Math.max(1, against));
    this.#ratios[bin] = (this.#ratios[bin] ?? 0) + 1;
    this.#q95 = this.#ratioAt(quantile);
  }

  /** What the first token takes in the middle of what was seen, for an input of so many tokens. */
  expectedMs(inputTokens: number): number {
    return Math.max(1, this.#a + this.#m * inputTokens);
  }

  /** The line of `expectedMs`; undefined before so many requests that it is more than chance. */
  fit(): { readonly baseMs: number; readonly msPerToken: number } | undefined {
    return this.#seen < fitRequestsMin ? undefined : { baseMs: this.#a, msPerToken: this.#m };
  }

  /** A wait beyond this is slow; Infinity while too little was seen. */
  boundMs(inputTokens: number): number {
    if (this.#seen < baselineRequestsMin) return Number.POSITIVE_INFINITY;
    return Math.max(boundMinMs, this.expectedMs(inputTokens) * this.#q95);
  }

  #fade(now: Instant): void {
    const byTime = Number.isFinite(this.#at)
      ? 0.5 ** (Math.max(0, now - this.#at) / halfLifeMs)
      : 1;
    const byWeight = this.#weight >= weightMax ? 1 - 1 / weightMax : 1;
    this.#at = now;
    const factor = byTime * byWeight;
    if (factor > 0.999_999) return;
    this.#weight *= factor;
    this.#sumX *= factor;
    this.#sumY *= factor;
    this.#sumXX *= factor;
    this.#sumXY *= factor;
    for (let bin = 0; bin < bins; bin++) this.#ratios[bin] = (this.#ratios[bin] ?? 0) * factor;
  }

  /** A slope below 0, or from inputs of one length, would be chance: then the mean is expected of all. */
  #fit(): void {
    const meanX = this.#sumX / this.#weight;
    const meanY = this.#sumY / this.#weight;
    const spread = this.#sumXX / this.#weight - meanX * meanX;
    const together = this.#sumXY / this.#weight - meanX * meanY;
    const slope = spread > 1 ? together / spread : 0;
    this.#m =
      slope > 0 && slope * meanX <= meanY ? slope : slope > 0 ? meanY / Math.max(1, meanX) : 0;
    this.#a = meanY - this.#m * meanX;
  }

  /** Upper edge of the bin in which the quantile lies. */
  #ratioAt(share: number): number {
    let total = 0;
    for (const count of this.#ratios) total += count;
    let sum = 0;
    for (let bin = 0; bin < bins; bin++) {
      sum += this.#ratios[bin] ?? 0;
      if (sum >= share * total) return Math.exp((bin + lowest + 1) * perBin);
    }
    return Math.exp((bins + lowest) * perBin);
  }
}

function binOf(ratio: number): number {
  const bin = Math.floor(Math.log(Math.max(1e-9, ratio)) / perBin) - lowest;
  return Math.min(bins - 1, Math.max(0, bin));
}
