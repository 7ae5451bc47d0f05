// One timer for all requests: a timer per request would cost more than the request's own work. It sleeps when nobody waits.

import type { Clock, Instant } from "@meridian/proto/base";

/** Something that wants to be woken. Its time may change; it is asked on each sweep. */
export type Sleeper = {
  /** Its place among the sleepers, for `Deadlines` alone; -1: not watched. */
  sleepsAt: number;
  readonly wakeAt: () => Instant;
  readonly wake: (now: Instant) => void;
  /** The program is about to end. */
  readonly stopNow?: () => void;
};

/** How late a deadline may be noticed. */
export const sweepMs = 20;
/** A sweep later than this tells that the process itself stood still. */
const stallMs = 100;

/**
 * Sleepers stand in an array and know their place. A Set would do, but one with much coming and going is rebuilt all the
 * time, and V8's dead tables keep what they held alive until the next full collection: measured, 20 µs per request.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #sleepers: Sleeper[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sweptAt: Instant = 0;
  #skipped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  watch(sleeper: Sleeper): void {
    if (sleeper.sleepsAt >= 0) return;
    sleeper.sleepsAt = this.#sleepers.length;
    this.#sleepers.push(sleeper);
    if (this.#timer !== undefined) return;
    this.#sweptAt = this.#clock.now();
    this.#timer = setInterval(() => this.#sweep(), sweepMs).unref();
  }

  unwatch(sleeper: Sleeper): void {
    const place = sleeper.sleepsAt;
    if (place < 0) return;
    sleeper.sleepsAt = -1;
    const last = this.#sleepers.pop();
    if (last === undefined || last === sleeper) return;
    this.#sleepers[place] = last;
    last.sleepsAt = place;
  }

  /** Tells everyone that waits that the program ends. */
  stopAll(): void {
    for (const sleeper of [...this.#sleepers]) sleeper.stopNow?.();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const sleeper of this.#sleepers.splice(0)) sleeper.sleepsAt = -1;
  }

  #sweep(): void {
    if (this.#sleepers.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = this.#clock.now();
    const isLate = now - this.#sweptAt > stallMs;
    this.#sweptAt = now;
    // What came while we stood still has not been read yet: nobody is judged before it is. But only once in a row, or a
    // process that is late each time would have no deadlines at all.
    this.#skipped = isLate && !this.#skipped;
    if (this.#skipped) return;
    // Backwards: who is woken may leave, and the last one, already looked at, takes the place.
    for (let place = this.#sleepers.length - 1; place >= 0; place--) {
      const sleeper = this.#sleepers[place];
      if (sleeper !== undefined && now >= sleeper.wakeAt()) sleeper.wake(now);
    }
  }
}
