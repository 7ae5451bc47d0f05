// Means over seeds with 95 % intervals, by Student's t: ten runs are few.

/** Quantiles at 97.5 % for 1 to 30 degrees of freedom; beyond them the normal one is near enough. */
const quantiles = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145,
  2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048,
  2.045, 2.042,
] as const;
const normalQuantile = 1.96;

/** `low` and `high` bound the mean; with one value alone nothing is known of its spread, and they are NaN. */
export type Estimate = { readonly mean: number; readonly low: number; readonly high: number };

export function estimate(values: readonly number[]): Estimate {
  const n = values.length;
  const mean = values.reduce((sum, each) => sum + each, 0) / n;
  if (n < 2) return { mean, low: Number.NaN, high: Number.NaN };
  const variance = values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (n - 1);
  const t = quantiles[n - 2] ?? normalQuantile;
  const spread = t * Math.sqrt(variance / n);
  return { mean, low: mean - spread, high: mean + spread };
}

/**
 * How many times as large one is as the other, paired by seed: the mean and the interval are those of the logarithms, so
 * that a ratio and its inverse say the same.
 */
export function estimateRatio(above: readonly number[], below: readonly number[]): Estimate {
  const logs = above.map((each, at) => Math.log(each / (below[at] ?? Number.NaN)));
  const { mean, low, high } = estimate(logs);
  return { mean: Math.exp(mean), low: Math.exp(low), high: Math.exp(high) };
}
