// How long a request takes in this process: neither waiting for its body nor for a place nor for an upstream. Told in
// Server-Timing and kept in the decision record.

import type { Instant } from "@meridian/proto/base";

/** What is waited for: a place at a model server, or the answer. */
export type WaitedFor = "queue" | "upstream";

/**
 * Own time runs while a request is worked on. It starts with the request's last byte, stops when a call is on its way or the
 * request is held, runs again from the first part of an answer that a client can be given, and stops for good when the head
 * is written: what comes later is passed on as it comes.
 */
export class OwnTime {
  #ownMs = 0;
  #since: Instant | undefined;
  #waitingSince: Instant | undefined;
  #waitsFor: WaitedFor = "upstream";
  #upstreamMs = 0;
  #queueMs = 0;

  get ownMs(): number {
    return this.#ownMs;
  }

  /** Work begins, or goes on. */
  run(now: Instant): void {
    this.#since ??= now;
    if (this.#waitingSince === undefined) return;
    const waitedMs = now - this.#waitingSince;
    if (this.#waitsFor === "queue") this.#queueMs += waitedMs;
    else this.#upstreamMs += waitedMs;
    this.#waitingSince = undefined;
  }

  wait(now: Instant, waitsFor: WaitedFor): void {
    this.stop(now);
    if (this.#waitingSince !== undefined) return;
    this.#waitingSince = now;
    this.#waitsFor = waitsFor;
  }

  stop(now: Instant): void {
    if (this.#since !== undefined) this.#ownMs += now - this.#since;
    this.#since = undefined;
  }

  /** The value of Server-Timing. Source: W3C Server Timing; durations in milliseconds. */
  header(): string {
    let value = `meridian;dur=${this.#ownMs.toFixed(2)};desc="own"`;
    if (this.#queueMs > 0) value += `, queue;dur=${this.#queueMs.toFixed(1)}`;
    if (this.#upstreamMs > 0) value += `, upstream;dur=${this.#upstreamMs.toFixed(1)}`;
    return value;
  }
}
