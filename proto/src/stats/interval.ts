// What is known of a rate from n events: an interval for people to read beside a verdict.

/** Quantile of the normal distribution for 95 %, two-sided. */
const z = 1.959964;

/**
 * The 95 % interval of a rate after `bad` of `n` events. Source: Wilson 1927, which stays within 0 and 1 and is honest
 * at few events. It is for one look; verdicts look each second and rest on sequential tests instead.
 *
 * @example wilsonInterval({ n: 40, bad: 2 }) // { low: 0.0138, high: 0.1650 }
 */
export function wilsonInterval({ n, bad }: { readonly n: number; readonly bad: number }): {
  readonly low: number;
  readonly high: number;
} {
  if (n <= 0) return { low: 0, high: 1 };
  const rate = bad / n;
  const middle = rate + (z * z) / (2 * n);
  const spread = z * Math.sqrt((rate * (1 - rate)) / n + (z * z) / (4 * n * n));
  const scale = 1 + (z * z) / n;
  return {
    low: Math.max(0, (middle - spread) / scale),
    high: Math.min(1, (middle + spread) / scale),
  };
}
