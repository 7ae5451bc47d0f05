// The calls of one request that may still be heard: one, or two while one hedges the other.

import type { UpstreamCall } from "../upstream/upstream-call.ts";

export class LiveCalls {
  readonly #calls: UpstreamCall[] = [];

  add(call: UpstreamCall): void {
    this.#calls.push(call);
  }

  find(attempt: number): UpstreamCall | undefined {
    return this.#calls.find((each) => each.attempt === attempt);
  }

  /** Finds it and lets go of it. */
  take(attempt: number): UpstreamCall | undefined {
    const place = this.#calls.findIndex((each) => each.attempt === attempt);
    return place < 0 ? undefined : this.#calls.splice(place, 1)[0];
  }

  clear(): void {
    this.#calls.length = 0;
  }
}
