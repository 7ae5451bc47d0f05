// How long a request takes in this process: neither waiting for its body nor for an upstream. Told in Server-Timing and
// kept in the decision record.

import type { Instant } from "@meridian/proto/base";

/**
 * Own time runs while a request is worked on. It starts with the request's last byte, stops when a call is on its way, runs
 * again from the first part of an answer that a client can be given, and stops for good when the head is written: what
 * comes later is passed on as it comes.
 */
export class OwnTime {
  #ownMs = 0;
  #since: Instant | undefined;
  #waitingSince: Instant | undefined;
  #upstreamMs = 0;

  get ownMs(): number {
    return this.#ownMs;
  }

  /** Work begins, or goes on. */
  run(now: Instant): void {
    this.#since ??= now;
    if (this.#waitingSince === undefined) return;
    this.#upstreamMs += now - this.#waitingSince;
    this.#waitingSince = undefined;
  }

  /** An upstream is waited for. */
  wait(now: Instant): void {
    this.stop(now);
    this.#waitingSince ??= now;
  }

  stop(now: Instant): void {
    if (this.#since !== undefined) this.#ownMs += now - this.#since;
    this.#since = undefined;
  }

  /** The value of Server-Timing. Source: W3C Server Timing; durations in milliseconds. */
  header(): string {
    const own = `meridian;dur=${this.#ownMs.toFixed(2)};desc="own"`;
    return this.#upstreamMs === 0 ? own : `${own}, upstream;dur=${this.#upstreamMs.toFixed(1)}`;
  }
}
