// What model servers say of themselves: requests that wait and run, and how full their memory for context is. Old or
// absent words are "unknown", which is neither "idle" nor "full".

import type { Instant } from "@meridian/proto/base";

/** What one reading told; undefined: nothing of that. */
export type EngineLoad = {
  /** Requests in the server's own queue. */
  readonly waiting: number | undefined;
  /** Requests that it works on. */
  readonly running: number | undefined;
  /** Share of the memory for context (KV cache) in use, 0 to 1. */
  readonly kvUse: number | undefined;
};

/** A reading older than this says nothing of now. */
export const engineLoadFreshMs = 5_000;

/** Cells of a slot: how long its reading is good, then the reading; NaN: not told. All zero is no reading. */
const fields = { goodUntil: 0, waiting: 1, running: 2, kvUse: 3 } as const;
const cellsPerSlot = 4;

/** Bytes for so many targets. */
export function engineLoadBytes(slots: number): number {
  return slots * cellsPerSlot * Float64Array.BYTES_PER_ELEMENT;
}

/**
 * The newest reading of each backend. The buffer may be shared by threads whose instants have one origin; one of them
 * writes.
 *
 * @example
 * loads.note(slot, { waiting: 3, running: 16, kvUse: 0.8 }, now);
 * loads.waiting(slot, now + 100); // 3
 */
export class EngineLoads {
  readonly #cells: Float64Array;

  constructor(buffer: ArrayBufferLike) {
    this.#cells = new Float64Array(buffer);
  }

  note(slot: number, { waiting, running, kvUse }: EngineLoad, now: Instant): void {
    const at = slot * cellsPerSlot;
    this.#cells[at + fields.waiting] = waiting ?? Number.NaN;
    this.#cells[at + fields.running] = running ?? Number.NaN;
    this.#cells[at + fields.kvUse] = kvUse ?? Number.NaN;
    this.#cells[at + fields.goodUntil] = now + engineLoadFreshMs;
  }

  waiting(slot: number, now: Instant): number | undefined {
    return this.#read(slot, fields.waiting, now);
  }

  /** Its queue is known to be longer than nothing. */
  isQueued(slot: number, now: Instant): boolean {
    const at = slot * cellsPerSlot;
    return (
      (this.#cells[at + fields.waiting] ?? 0) > 0 && now < (this.#cells[at + fields.goodUntil] ?? 0)
    );
  }

  running(slot: number, now: Instant): number | undefined {
    return this.#read(slot, fields.running, now);
  }

  kvUse(slot: number, now: Instant): number | undefined {
    return this.#read(slot, fields.kvUse, now);
  }

  /** The slot is another target's from now on. */
  forget(slot: number): void {
    this.#cells.fill(0, slot * cellsPerSlot, (slot + 1) * cellsPerSlot);
  }

  #read(slot: number, field: 1 | 2 | 3, now: Instant): number | undefined {
    const at = slot * cellsPerSlot;
    if (now >= (this.#cells[at + fields.goodUntil] ?? 0)) return undefined;
    const value = this.#cells[at + field] ?? Number.NaN;
    return Number.isNaN(value) ? undefined : value;
  }
}
