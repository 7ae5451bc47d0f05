// A rate per second out of amounts that come when they come: old ones fade, with a time constant of ten seconds.

import type { Instant } from "@meridian/proto/base";

/** Source: reference 3.2. */
const fadeMs = 10_000;

/** @example rate.add(900, now); rate.perSecond(now) // → 90, and less and less from then on */
export class FadingRate {
  #sum = 0;
  #at: Instant = 0;

  add(amount: number, now: Instant): void {
    this.#fade(now);
    this.#sum += amount;
  }

  perSecond(now: Instant): number {
    this.#fade(now);
    return (this.#sum * 1_000) / fadeMs;
  }

  #fade(now: Instant): void {
    // Reports of several proxies may come in one millisecond.
    if (now <= this.#at) return;
    this.#sum *= Math.exp((this.#at - now) / fadeMs);
    this.#at = now;
  }
}
