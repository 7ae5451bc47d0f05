// The clocks and the chance of this process: the only place that asks the machine for them.

import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import { type Clock, type Random, seededRandom } from "@meridian/proto/base";

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
};

/** Different in every process: jitter of programs that start together must differ. */
export function systemRandom(): Random {
  return seededRandom(randomUUID());
}
