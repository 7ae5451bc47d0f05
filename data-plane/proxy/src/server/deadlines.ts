// One timer for all requests: a timer per request would cost more than the request's own work. It sleeps when nobody waits.

import type { Clock, Instant } from "@meridian/proto/base";

/** Something that wants to be woken. Its time may change; it is asked on each sweep. */
export type Sleeper = {
  readonly wakeAt: () => Instant;
  readonly wake: (now: Instant) => void;
};

/** How late a deadline may be noticed. */
export const sweepMs = 20;

export class Deadlines {
  readonly #clock: Clock;
  readonly #sleepers = new Set<Sleeper>();
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  watch(sleeper: Sleeper): void {
    this.#sleepers.add(sleeper);
    this.#timer ??= setInterval(() => this.#sweep(), sweepMs).unref();
  }

  unwatch(sleeper: Sleeper): void {
    this.#sleepers.delete(sleeper);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#sleepers.clear();
  }

  #sweep(): void {
    if (this.#sleepers.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = this.#clock.now();
    for (const sleeper of this.#sleepers) {
      if (now >= sleeper.wakeAt()) sleeper.wake(now);
    }
  }
}
