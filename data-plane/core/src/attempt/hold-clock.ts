// How long one request is held at the proxy before it is called for, and when it is to be asked about again.

import type { Instant } from "@meridian/proto/base";

const never = Number.POSITIVE_INFINITY;

/** All holds of a request together last no longer than `holdMs`. */
export class HoldClock {
  readonly #holdMs: number;
  /** Since when it is held; Infinity: it is not. */
  #since: Instant = never;
  #dueAt: Instant = never;
  /** Of holds that are over. */
  #beforeMs = 0;

  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  get isOn(): boolean {
    return this.#since !== never;
  }

  /** When the next question is due; Infinity while nothing is held. */
  get dueAt(): Instant {
    return this.#dueAt;
  }

  heldMs(now: Instant): number {
    return this.isOn ? this.#beforeMs + Math.max(0, now - this.#since) : this.#beforeMs;
  }

  /** 0: its time to wait is over. */
  leftMs(now: Instant): number {
    return Math.max(0, this.#holdMs - this.heldMs(now));
  }

  /** Holds, or holds on. true: the request was not held before. Only where time is left. */
  begin(askAt: Instant, now: Instant): boolean {
    const isNew = !this.isOn;
    if (isNew) this.#since = now;
    const endAt = this.#since + this.#holdMs - this.#beforeMs;
    // A question that is due already would be asked again and again within one moment.
    this.#dueAt = Math.max(now + 1, Math.min(askAt, endAt));
    return isNew;
  }

  /** true: it was held until now. */
  end(now: Instant): boolean {
    if (!this.isOn) return false;
    this.#beforeMs = this.heldMs(now);
    this.#since = never;
    this.#dueAt = never;
    return true;
  }
}
