// Who said that it is full, and until when it is left alone. Capacity, not health: it works, it has no room.

import type { Instant } from "@meridian/proto/base";

/** The longest time for which one answer keeps everybody away. */
const fullMaxMs = 60_000;

/**
 * Cells: the latest end of any mark, and for each slot the ends of its two marks. Eight-byte floats: an aligned write of
 * eight bytes is whole on every processor that Node is built for, and of two threads' marks at one moment either will do.
 */
const latest = 0;
const firstSlot = 2;
const cellsPerSlot = 2;
const fields = { full: 0, avoided: 1 } as const;

/** Bytes for so many targets. */
export function saturationBytes(slots: number): number {
  return (firstSlot + slots * cellsPerSlot) * Float64Array.BYTES_PER_ELEMENT;
}

/**
 * Two marks for each target: *full* (it named a time: nobody asks before) and *avoided* (it named none: others of its
 * pool come first). The buffer may be shared by threads whose instants have one origin.
 *
 * @example
 * saturation.fill(slot, 5_000, now);
 * saturation.isFull(slot, now + 4_000); // true
 */
export class Saturation {
  readonly #cells: Float64Array;

  constructor(buffer: ArrayBufferLike) {
    this.#cells = new Float64Array(buffer);
  }

  /** It asked for so much time. */
  fill(slot: number, ms: number, now: Instant): void {
    this.#mark(slot, fields.full, now + Math.min(fullMaxMs, ms));
  }

  /** For so long others come first. */
  avoid(slot: number, ms: number, now: Instant): void {
    this.#mark(slot, fields.avoided, now + ms);
  }

  /** It answered: it need not be avoided. The time that it asked for stands. */
  welcome(slot: number): void {
    this.#cells[firstSlot + slot * cellsPerSlot + fields.avoided] = 0;
  }

  /** false: nobody at all is marked, which is what nearly every request finds. */
  any(now: Instant): boolean {
    return now < (this.#cells[latest] ?? 0);
  }

  isFull(slot: number, now: Instant): boolean {
    return this.fullForMs(slot, now) > 0;
  }

  /** 0: not at all. */
  fullForMs(slot: number, now: Instant): number {
    return Math.max(0, this.#end(slot, fields.full) - now);
  }

  isAvoided(slot: number, now: Instant): boolean {
    return now < this.#end(slot, fields.avoided);
  }

  /** The slot is another target's from now on. */
  forget(slot: number): void {
    const at = firstSlot + slot * cellsPerSlot;
    this.#cells[at + fields.full] = 0;
    this.#cells[at + fields.avoided] = 0;
  }

  #end(slot: number, field: 0 | 1): Instant {
    return this.#cells[firstSlot + slot * cellsPerSlot + field] ?? 0;
  }

  #mark(slot: number, field: 0 | 1, until: Instant): void {
    const cell = firstSlot + slot * cellsPerSlot + field;
    this.#cells[cell] = Math.max(this.#cells[cell] ?? 0, until);
    this.#cells[latest] = Math.max(this.#cells[latest] ?? 0, until);
  }
}
