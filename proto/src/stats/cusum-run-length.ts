// How long a CUSUM runs before it alarms, exactly: what the stated error rates rest on. One event per tick.

import { followWalk } from "./bad-event-walk.ts";
import { type CusumTest, cusumSteps } from "./cusum.ts";

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
  const { up, down } = cusumSteps(test);
  const { counted: alarms, meanEvents } = followWalk(p, (bad, good) => {
    const sum = bad * up - good * down;
    if (sum >= test.h) return "counted";
    return sum > 0 ? "on" : "other";
  });
  return alarms === 0 ? Number.POSITIVE_INFINITY : meanEvents / alarms;
}
