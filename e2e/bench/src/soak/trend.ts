// Whether a series of measurements grows: a slope that single outliers do not move, and how sure its sign is.

export type Trend = {
  /** Theil–Sen: the median of the slopes of all pairs (Sen, JASA 63, 1968), a unit of x. NaN for fewer than two points. */
  readonly slope: number;
  /** Mann–Kendall, one-sided: how likely so much growth is by chance alone (Kendall, Rank Correlation Methods, 1975). */
  readonly chance: number;
};

export type Point = { readonly x: number; readonly y: number };

/** Points in order of x. */
export function trendOf(points: readonly Point[]): Trend {
  const slopes: number[] = [];
  let signs = 0;
  for (const [index, from] of points.entries()) {
    for (const to of points.slice(index + 1)) {
      if (to.x > from.x) slopes.push((to.y - from.y) / (to.x - from.x));
      signs += Math.sign(to.y - from.y);
    }
  }
  return { slope: median(slopes), chance: chanceOf(signs, points.length) };
}

/** The normal approximation with its correction for continuity; good from about eight points on. */
function chanceOf(signs: number, count: number): number {
  if (count < 2 || signs <= 0) return 1;
  const variance = (count * (count - 1) * (2 * count + 5)) / 18;
  return upperTail((signs - 1) / Math.sqrt(variance));
}

/** P(Z > z) of the normal distribution, z ≥ 0; to 7 digits (Abramowitz and Stegun 26.2.17). */
function upperTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const coefficients = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const series = coefficients.reduceRight((sum, each) => (sum + each) * t, 0);
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] ?? Number.NaN;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}
