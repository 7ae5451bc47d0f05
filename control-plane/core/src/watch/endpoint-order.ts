// Which member of the store to talk to: the nearest that has not failed lately. Members are numbers, 0 the nearest.

import type { Instant } from "@meridian/proto/base";

/** The order of preference, with a rest for members that failed, so that the nearest is used again by itself. */
export class EndpointOrder {
  readonly #restingUntil: Instant[];
  readonly #restMs: number;

  constructor(count: number, restMs: number) {
    this.#restingUntil = new Array<Instant>(count).fill(Number.NEGATIVE_INFINITY);
    this.#restMs = restMs;
  }

  /** The nearest member that rests no more; when all rest, the one whose rest ends first. */
  choose(now: Instant): number {
    let soonest = 0;
    for (const [endpoint, until] of this.#restingUntil.entries()) {
      if (until <= now) return endpoint;
      if (until < (this.#restingUntil[soonest] ?? 0)) soonest = endpoint;
    }
    return soonest;
  }

  failed(endpoint: number, now: Instant): void {
    this.#restingUntil[endpoint] = now + this.#restMs;
  }

  succeeded(endpoint: number): void {
    this.#restingUntil[endpoint] = Number.NEGATIVE_INFINITY;
  }
}
