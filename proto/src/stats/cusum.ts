// CUSUM for bad events among many: adds up how much better "it has become p1" explains what is seen than "it is p0
// still", never below 0, and alarms at h. Source: Page 1954; optimal for a change at an unknown time (Moustakides 1986).

/** What a test tells apart, and how sure it wants to be. Rates are shares from 0 to 1. */
export type CusumTest = {
  /** Rate of bad events that is normal. */
  readonly p0: number;
  /** Rate that must be noticed; above p0. */
  readonly p1: number;
  /** The sum at which it alarms. The mean number of events to a false alarm is at least e^h (Lorden 1971). */
  readonly h: number;
};

/**
 * The most that one tick may add. Bad events come in bursts that are not independent (one reset cuts many streams), so
 * one tick alone never alarms where h is above it.
 */
export const tickGainMax = 7;

/**
 * The sum after one tick with `n` events of which `bad` were bad.
 *
 * @example
 * let sum = 0;
 * sum = stepCusum(sum, { n: 10, bad: 5 }, { p0: 0.01, p1: 0.1, h: 13.8 }); // 7, the most that a tick may add
 */
export function stepCusum(
  sum: number,
  counts: { readonly n: number; readonly bad: number },
  test: Pick<CusumTest, "p0" | "p1">,
): number {
  const { up, down } = cusumSteps(test);
  const gain = counts.bad * up - (counts.n - counts.bad) * down;
  return Math.max(0, sum + Math.min(tickGainMax, gain));
}

/** What one bad event adds and one good event takes; both above 0. */
export function cusumSteps({ p0, p1 }: Pick<CusumTest, "p0" | "p1">): {
  readonly up: number;
  readonly down: number;
} {
  return { up: Math.log(p1 / p0), down: Math.log((1 - p0) / (1 - p1)) };
}

/**
 * The threshold for a fleet: with `events` bad-or-good events until a false alarm is accepted once. On the safe side, as
 * the true mean is above e^h.
 */
export function cusumThreshold(events: number): number {
  return Math.log(Math.max(Math.E, events));
}

/** Bad events in ticks of their own that still lack to an alarm; 0: it alarms. */
export function badEventsToAlarm(sum: number, test: CusumTest): number {
  return Math.max(0, Math.ceil((test.h - sum) / cusumSteps(test).up - 1e-9));
}

/** Good events that bring the sum back to 0. */
export function goodEventsToCalm(sum: number, test: CusumTest): number {
  return Math.ceil(sum / cusumSteps(test).down - 1e-9);
}
