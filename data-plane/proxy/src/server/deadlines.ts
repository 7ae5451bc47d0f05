// One timer for all requests: a timer per request would cost more than the request's own work. It sleeps when nobody waits.

import type { Clock, Instant } from "@meridian/proto/base";

/** Something that wants to be woken. Its time may change; it is asked on each sweep. */
export type Sleeper = {
  readonly wakeAt: () => Instant;
  readonly wake: (now: Instant) => void;
};

/** How late a deadline may be noticed. */
export const sweepMs = 20;
/** A sweep later than this tells that the process itself stood still. */
const stallMs = 100;

export class Deadlines {
  readonly #clock: Clock;
  readonly #sleepers = new Set<Sleeper>();
  #timer: NodeJS.Timeout | undefined;
  #sweptAt: Instant = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  watch(sleeper: Sleeper): void {
    this.#sleepers.add(sleeper);
    if (this.#timer !== undefined) return;
    this.#sweptAt = this.#clock.now();
    this.#timer = setInterval(() => this.#sweep(), sweepMs).unref();
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
    const isLate = now - this.#sweptAt > stallMs;
    this.#sweptAt = now;
    // What came while we stood still has not been read yet. Nobody is judged before it is.
    if (isLate) return;
    for (const sleeper of this.#sleepers) {
      if (now >= sleeper.wakeAt()) sleeper.wake(now);
    }
  }
}
