// What the policy says that a backend bears per minute, as token buckets: a constraint on every picker.

import type { Instant } from "@meridian/proto/base";
import {
  giveBackUnits,
  type RateLimit,
  rateLimit,
  rateWaitMs,
  takeUnits,
} from "@meridian/proto/stats";

/** undefined: no limit. */
export type BucketLimits = {
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
};

/** Cells of a slot: the instant at which each bucket is full again. All zero is full. */
const fields = { requests: 0, tokens: 1 } as const;
const cellsPerSlot = 2;

/** Bytes for so many targets. */
export function bucketBytes(slots: number): number {
  return slots * cellsPerSlot * Float64Array.BYTES_PER_ELEMENT;
}

type Limits = { readonly requests: RateLimit | undefined; readonly tokens: RateLimit | undefined };

/**
 * Two buckets for each backend. The buffer may be shared by threads whose instants have one origin: none takes what
 * another one took. The limits are each thread's own, from the policy that it serves by.
 *
 * @example
 * buckets.setLimits(slot, { requestsPerMinute: 600, tokensPerMinute: 100_000 });
 * if (buckets.roomInMs(slot, 900, now) === 0) buckets.take(slot, 900, now);
 * buckets.settle(slot, 900, 340, later); // 560 tokens were not used
 */
export class BackendBuckets {
  /** An aligned read of eight bytes is whole on every processor that Node is built for. */
  readonly #cells: Float64Array;
  /** The same memory, as what can be exchanged in one step. */
  readonly #bits: BigInt64Array;
  readonly #limits: (Limits | undefined)[] = [];
  readonly #scratch = new Float64Array(1);
  readonly #scratchBits = new BigInt64Array(this.#scratch.buffer);

  constructor(buffer: ArrayBufferLike) {
    this.#cells = new Float64Array(buffer);
    this.#bits = new BigInt64Array(buffer);
  }

  /** What the policy in force says. What was taken stays taken. */
  setLimits(slot: number, { requestsPerMinute, tokensPerMinute }: BucketLimits): void {
    const requests = requestsPerMinute === undefined ? undefined : rateLimit(requestsPerMinute);
    const tokens = tokensPerMinute === undefined ? undefined : rateLimit(tokensPerMinute);
    const isFree = requests === undefined && tokens === undefined;
    this.#limits[slot] = isFree ? undefined : { requests, tokens };
  }

  /** Milliseconds until a request of so many tokens has room; 0: now. */
  roomInMs(slot: number, tokens: number, now: Instant): number {
    const limits = this.#limits[slot];
    if (limits === undefined) return 0;
    const at = slot * cellsPerSlot;
    return Math.max(
      this.#waitMs(at + fields.requests, 1, limits.requests, now),
      this.#waitMs(at + fields.tokens, tokens, limits.tokens, now),
    );
  }

  /** A request is sent. Where there was no room, what it takes is owed. */
  take(slot: number, tokens: number, now: Instant): void {
    const limits = this.#limits[slot];
    if (limits === undefined) return;
    const at = slot * cellsPerSlot;
    this.#change(at + fields.requests, 1, limits.requests, now);
    this.#change(at + fields.tokens, tokens, limits.tokens, now);
  }

  /** It ended and used so many tokens; the rest of what `take` was told is given back, or what is beyond it is owed. */
  settle(slot: number, reserved: number, used: number, now: Instant): void {
    const limits = this.#limits[slot];
    const at = slot * cellsPerSlot;
    if (used !== reserved) this.#change(at + fields.tokens, used - reserved, limits?.tokens, now);
  }

  /** The slot is another target's from now on. */
  forget(slot: number): void {
    this.#limits[slot] = undefined;
    const at = slot * cellsPerSlot;
    for (let cell = at; cell < at + cellsPerSlot; cell++) Atomics.store(this.#bits, cell, 0n);
  }

  #waitMs(cell: number, units: number, limit: RateLimit | undefined, now: Instant): number {
    return limit === undefined ? 0 : rateWaitMs(this.#cells[cell] ?? 0, units, limit, now);
  }

  #change(cell: number, units: number, limit: RateLimit | undefined, now: Instant): void {
    if (limit === undefined) return;
    for (;;) {
      const before = Atomics.load(this.#bits, cell);
      this.#scratchBits[0] = before;
      const fullAt = this.#scratch[0] ?? 0;
      this.#scratch[0] =
        units >= 0
          ? takeUnits(fullAt, units, limit, now)
          : giveBackUnits(fullAt, -units, limit, now);
      const after = this.#scratchBits[0] ?? 0n;
      if (Atomics.compareExchange(this.#bits, cell, before, after) === before) return;
    }
  }
}
