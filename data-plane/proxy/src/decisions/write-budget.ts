// How many records may be written to disk: so many a second, with a reserve for a burst.

import type { Instant } from "@meridian/proto/base";

export type WriteBudgetOptions = { readonly perSecond: number; readonly burst: number };

/** A token bucket: full at the start, and never fuller than `burst`. */
export class WriteBudget {
  readonly #options: WriteBudgetOptions;
  #left: number;
  #at: Instant | undefined;

  constructor(options: WriteBudgetOptions) {
    this.#options = options;
    this.#left = options.burst;
  }

  /** true: one more may be written now. */
  take(now: Instant): boolean {
    const { burst, perSecond } = this.#options;
    const sinceMs = Math.max(0, now - (this.#at ?? now));
    this.#at = now;
    this.#left = Math.min(burst, this.#left + (sinceMs / 1_000) * perSecond);
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
