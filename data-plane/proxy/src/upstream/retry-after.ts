// Retry-After as servers write it: seconds. Dates are not read: they would need the wall clock of somebody else.

/** Milliseconds; undefined when there is none, or none that is a number from 0 to a day. */
export function readRetryAfterMs(value: string | string[] | undefined): number | undefined {
  if (typeof value !== "string" || !/^\d{1,5}(\.\d{1,3})?$/.test(value)) return undefined;
  return Number(value) * 1_000;
}
