// Who said that it is full, and until when it is left alone. Capacity, not health: it works, it has no room.

import type { Instant } from "@meridian/proto/base";

/** The longest time for which one answer keeps everybody away. */
const fullMaxMs = 60_000;

/** Int32 cells: the latest end of any mark, and for each slot the ends of its two marks, in tenths of a second. */
const latest = 0;
const firstSlot = 2;
const cellsPerSlot = 2;
const fields = { full: 0, avoided: 1 } as const;

/** Bytes for so many targets. */
export function saturationBytes(slots: number): number {
  return (firstSlot + slots * cellsPerSlot) * Int32Array.BYTES_PER_ELEMENT;
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
  readonly #cells: Int32Array;

  constructor(buffer: ArrayBufferLike) {
    this.#cells = new Int32Array(buffer);
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
    const cell = firstSlot + slot * cellsPerSlot + fields.avoided;
    if (Atomics.load(this.#cells, cell) !== 0) Atomics.store(this.#cells, cell, 0);
  }

  /** false: nobody at all is marked, which is what nearly every request finds. */
  any(now: Instant): boolean {
    return now < Atomics.load(this.#cells, latest) * 100;
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
    Atomics.store(this.#cells, at + fields.full, 0);
    Atomics.store(this.#cells, at + fields.avoided, 0);
  }

  #end(slot: number, field: 0 | 1): Instant {
    return Atomics.load(this.#cells, firstSlot + slot * cellsPerSlot + field) * 100;
  }

  #mark(slot: number, field: 0 | 1, until: Instant): void {
    const tenths = Math.ceil(until / 100);
    const cell = firstSlot + slot * cellsPerSlot + field;
    if (tenths > Atomics.load(this.#cells, cell)) Atomics.store(this.#cells, cell, tenths);
    if (tenths > Atomics.load(this.#cells, latest)) Atomics.store(this.#cells, latest, tenths);
  }
}
