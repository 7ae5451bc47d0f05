// A rate limit as one number: the instant at which a bucket is full again. Source: the generic cell rate algorithm,
// ITU-T I.371 (2004), annex A, in its virtual scheduling form, for requests of any size.

/** So many units a minute, of which so many may come at one moment. Both above 0. */
export type RateLimit = { readonly perMinute: number; readonly burst: number };

const minuteMs = 60_000;

/** A limit's usual burst: what it gives in ten seconds, and never less than one unit. */
const burstShare = 1 / 6;

/** The most that any minute sees is the limit and its burst. @example rateLimit(600) // { perMinute: 600, burst: 100 } */
export function rateLimit(perMinute: number): RateLimit {
  return { perMinute, burst: Math.max(1, perMinute * burstShare) };
}

/**
 * Milliseconds until `units` may be taken; 0: now. What is larger than the burst waits for a full bucket, and is owed
 * afterwards.
 *
 * @example rateWaitMs(fullAt, 1, rateLimit(60), now)
 */
export function rateWaitMs(fullAt: number, units: number, limit: RateLimit, now: number): number {
  const perUnitMs = minuteMs / limit.perMinute;
  const neededMs = Math.min(units, limit.burst) * perUnitMs;
  // Within a billionth of a burst: sums of instants are not exact, and a bucket that is full must count as full.
  const waitMs = fullAt - now + neededMs - limit.burst * perUnitMs;
  return waitMs > 1e-6 ? waitMs : 0;
}

/** When the bucket is full again after `units` were taken; also where there was no room, as they were. */
export function takeUnits(fullAt: number, units: number, limit: RateLimit, now: number): number {
  return Math.max(fullAt, now) + (units * minuteMs) / limit.perMinute;
}

/** The same after `units` of what was taken were not used. Below 0: more was used than taken. */
export function giveBackUnits(
  fullAt: number,
  units: number,
  limit: RateLimit,
  now: number,
): number {
  return Math.max(fullAt, now) - (units * minuteMs) / limit.perMinute;
}
