// A rate limit as one number: the instant at which a bucket is full again. Source: the generic cell rate algorithm,
// ITU-T I.371 (2004), annex A, in its virtual scheduling form, for requests of any size.

/** A rate of units, of which so many as a burst has may come at one moment. Made by `rateLimit`. */
export type RateLimit = {
  /** In units. */
  readonly burst: number;
  /** The time in which one unit comes back, and that in which a whole burst does. */
  readonly perUnitMs: number;
  readonly burstMs: number;
};

const minuteMs = 60_000;

/** A limit's usual burst: what it gives in ten seconds, and never less than one unit. */
const burstShare = 1 / 6;

/** Above 0. The most that any minute sees is the limit and its burst. @example rateLimit(600).burst // 100 */
export function rateLimit(perMinute: number): RateLimit {
  const burst = Math.max(1, perMinute * burstShare);
  const perUnitMs = minuteMs / perMinute;
  return { burst, perUnitMs, burstMs: burst * perUnitMs };
}

/**
 * Milliseconds until `units` may be taken; 0: now. What is larger than the burst waits for a full bucket, and is owed
 * afterwards.
 *
 * @example rateWaitMs(fullAt, 1, rateLimit(60), now)
 */
export function rateWaitMs(fullAt: number, units: number, limit: RateLimit, now: number): number {
  if (fullAt <= now) return 0;
  const waitMs = fullAt - now + Math.min(units * limit.perUnitMs, limit.burstMs) - limit.burstMs;
  // Sums of instants are not exact, and a bucket that is full must count as full.
  return waitMs > 1e-6 ? waitMs : 0;
}

/** When the bucket is full again after `units` were taken; also where there was no room, as they were. */
export function takeUnits(fullAt: number, units: number, limit: RateLimit, now: number): number {
  return Math.max(fullAt, now) + units * limit.perUnitMs;
}

/** The same after `units` of what was taken were not used. Below 0: more was used than taken. */
export function giveBackUnits(
  fullAt: number,
  units: number,
  limit: RateLimit,
  now: number,
): number {
  return Math.max(fullAt, now) - units * limit.perUnitMs;
}
