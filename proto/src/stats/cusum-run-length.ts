// How long a CUSUM runs before it alarms, exactly: what the stated error rates rest on. One event per tick.

import { type CusumTest, cusumSteps } from "./cusum.ts";

/** Chance still alive in a cycle below which the rest is left out. */
const remainder = 1e-15;
const stepsMax = 100_000;

/**
 * Mean number of events until the test alarms, when each is bad with the chance `p`.
 *
 * Between two visits of 0 the sum is `bad·up − good·down`, so after t events it is told by the number of bad ones alone:
 * the chances of a whole cycle are followed without rounding the sum to a grid. By the renewal argument the mean is the
 * mean length of a cycle over its chance to end in an alarm.
 *
 * @example meanEventsToAlarm({ p0: 0.01, p1: 0.1, h: 13.8 }, 0.01) // about 3.4e7
 */
export function meanEventsToAlarm(test: CusumTest, p: number): number {
  const { length, alarms } = followCycle(test, p);
  return alarms === 0 ? Number.POSITIVE_INFINITY : length / alarms;
}

/** Mean length of a cycle that starts at 0, and its chance to end in an alarm. */
function followCycle(
  test: CusumTest,
  p: number,
): { readonly length: number; readonly alarms: number } {
  const { up, down } = cusumSteps(test);
  // By the number of bad events so far; only those whose sum is between 0 and h can be alive, which are few.
  let chances = new Map<number, number>([[0, 1]]);
  let alive = 1;
  let length = 0;
  let alarms = 0;
  for (let step = 1; step <= stepsMax && alive > remainder; step++) {
    length += alive;
    const next = new Map<number, number>();
    alive = 0;
    const arrive = (bad: number, chance: number): void => {
      const sum = bad * up - (step - bad) * down;
      if (sum >= test.h) alarms += chance;
      else if (sum > 0) {
        next.set(bad, (next.get(bad) ?? 0) + chance);
        alive += chance;
      }
    };
    for (const [bad, chance] of chances) {
      arrive(bad, chance * (1 - p));
      arrive(bad + 1, chance * p);
    }
    chances = next;
  }
  return { length, alarms };
}
