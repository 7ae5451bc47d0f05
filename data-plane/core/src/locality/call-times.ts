// What calls of each target took: how long a usual one lasts, what it uses, and how far expectations of its first token
// were off. By slot, each engine's own: a thread learns from its own calls.

import type { Instant } from "@meridian/proto/base";
import { untestedErrorMs } from "./expected-time.ts";

/** A new call's weight, once there were more than as many as it takes to weigh so little. */
const gain = 1 / 16;

/** Fewer than so many errors are no distribution. */
const errorsMin = 4;

/** Sigmas that are added to an expectation: about 5 % of normal errors are larger on the bad side and the good. */
const sigmas = 2;
/** Errors beyond so many sigmas count as that: one answer that came half a minute late must not close a target. */
const sigmasMax = 3;

/**
 * Errors count half after so long without a new one: who is doubted gets no calls, and would be doubted for ever by what
 * a bad minute taught.
 */
const errorHalfLifeMs = 60_000;

/** Who got no call for so long is tried, whatever is expected of it. */
const triedMs = 5_000;

const fields = { calls: 0, ms: 1, tokens: 2, errors: 3, squared: 4, missedAt: 5, startedAt: 6 };
const cellsPerSlot = 7;

/**
 * @example
 * times.ended(slot, 2_400, 610);           // a call took 2.4 s and was expected to use 610 tokens
 * times.missed(slot, 120, now);            // a first token came 120 ms later than expected
 * times.errorMs(slot, 400, now);           // two sigma of such errors
 */
export class CallTimes {
  #cells: Float64Array;

  constructor(slots = 64) {
    this.#cells = new Float64Array(slots * cellsPerSlot);
  }

  /** A call that was answered ended. */
  ended(slot: number, ms: number, tokens: number): void {
    const at = this.#place(slot);
    const weight = this.#count(at + fields.calls);
    this.#blend(at + fields.ms, ms, weight);
    this.#blend(at + fields.tokens, tokens, weight);
  }

  /** undefined: none has ended yet. */
  callMs(slot: number): number | undefined {
    return this.#known(slot, fields.ms);
  }

  tokensPerCall(slot: number): number | undefined {
    return this.#known(slot, fields.tokens);
  }

  /**
   * A first token came so much later (or sooner: below 0) than was expected without doubt. What came sooner is no reason to
   * doubt; late ones count twice, so that errors to both sides alike give their sigma.
   */
  missed(slot: number, ms: number, now: Instant): void {
    const at = this.#place(slot);
    const known = this.#cells[at + fields.errors] ?? 0;
    const squared = (this.#cells[at + fields.squared] ?? 0) * this.#trust(at, now);
    this.#cells[at + fields.squared] = squared;
    this.#cells[at + fields.missedAt] = now;
    const most =
      known < errorsMin ? Number.POSITIVE_INFINITY : Math.max(1, squared) * sigmasMax ** 2;
    const weight = this.#count(at + fields.errors);
    // Never quite 0: a target that was exact so far may err all the same, and its errors must be able to grow.
    const late = ms > 0 ? 2 * ms * ms : 0;
    this.#blend(at + fields.squared, Math.max(1, Math.min(late, most)), weight);
  }

  /** Two sigma of the target's own errors; of one that was hardly tried, or not of late, by `untestedErrorMs`. */
  errorMs(slot: number, expectedMs: number, now: Instant): number {
    const at = slot * cellsPerSlot;
    const untestedMs = untestedErrorMs(expectedMs);
    if ((this.#cells[at + fields.errors] ?? 0) < errorsMin) return untestedMs;
    const knownMs = sigmas * Math.sqrt(this.#cells[at + fields.squared] ?? 0);
    const trust = this.#trust(at, now);
    return trust * knownMs + (1 - trust) * untestedMs;
  }

  /** A call goes there. */
  started(slot: number, now: Instant): void {
    this.#cells[this.#place(slot) + fields.startedAt] = now;
  }

  /** A call went there not long ago: what is known of it is of now. */
  isTried(slot: number, now: Instant): boolean {
    const startedAt = this.#cells[slot * cellsPerSlot + fields.startedAt] ?? 0;
    return startedAt !== 0 && now - startedAt < triedMs;
  }

  /** The slot is another target's from now on. */
  forget(slot: number): void {
    const at = slot * cellsPerSlot;
    if (at < this.#cells.length) this.#cells.fill(0, at, at + cellsPerSlot);
  }

  /** In what the errors of a target tell, 1 just after the newest and less and less from then on. */
  #trust(at: number, now: Instant): number {
    const ageMs = Math.max(0, now - (this.#cells[at + fields.missedAt] ?? now));
    return 0.5 ** (ageMs / errorHalfLifeMs);
  }

  #known(slot: number, field: number): number | undefined {
    const at = slot * cellsPerSlot;
    if ((this.#cells[at + fields.calls] ?? 0) === 0) return undefined;
    return this.#cells[at + field];
  }

  /** The weight of the newest of so many: their plain mean at first, then fading. */
  #count(cell: number): number {
    const count = Math.min(1 / gain, (this.#cells[cell] ?? 0) + 1);
    this.#cells[cell] = count;
    return 1 / count;
  }

  #blend(cell: number, value: number, weight: number): void {
    const before = this.#cells[cell] ?? 0;
    this.#cells[cell] = before + weight * (value - before);
  }

  #place(slot: number): number {
    const at = slot * cellsPerSlot;
    if (at >= this.#cells.length) {
      const larger = new Float64Array(Math.max(this.#cells.length * 2, at + cellsPerSlot));
      larger.set(this.#cells);
      this.#cells = larger;
    }
    return at;
  }
}
