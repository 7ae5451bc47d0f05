// Numbers per target in one buffer: what is in flight, what is pending, what was counted. The buffer may be shared by
// threads; every access goes through Atomics. A slot belongs to one id and is given away only when nothing is in flight.

/** Int32 fields of one slot; the rest is room for token buckets. */
const fields = {
  inFlight: 0,
  pendingTokens: 1,
  started: 2,
  succeeded: 3,
  failed: 4,
} as const;

const fieldsPerSlot = 8;

/** Targets that one table holds by default: 4 pools of a large region's size. */
export const defaultSlots = 1_024;

/** Bytes that a table of so many slots needs. */
export function loadBufferBytes(slots: number): number {
  return slots * fieldsPerSlot * Int32Array.BYTES_PER_ELEMENT;
}

/** How a call ended, as far as counters care. */
export type CountedOutcome = "succeeded" | "failed" | "uncounted";

/**
 * The load of every target, by slot. Counters wrap at 2^32.
 *
 * @example
 * const slot = table.claim("backend/us-a");
 * table.start(slot, 900); … table.end(slot, 900, "succeeded");
 */
export class LoadTable {
  readonly #cells: Int32Array;
  readonly #slots: number;
  readonly #slotById = new Map<string, number>();
  readonly #idBySlot: (string | undefined)[] = [];
  readonly #retiring = new Set<string>();
  #fresh: number[] = [];

  constructor(buffer: ArrayBufferLike = new ArrayBuffer(loadBufferBytes(defaultSlots))) {
    this.#cells = new Int32Array(buffer);
    this.#slots = Math.floor(this.#cells.length / fieldsPerSlot);
  }

  /** The slot of an id: the one it has, or a free one, or undefined when the table is full. */
  claim(id: string): number | undefined {
    const held = this.#slotById.get(id);
    if (held !== undefined) {
      this.#retiring.delete(id);
      return held;
    }
    this.#sweep();
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.#idBySlot[slot] !== undefined) continue;
      this.#idBySlot[slot] = id;
      this.#slotById.set(id, slot);
      this.#clear(slot);
      this.#fresh.push(slot);
      return slot;
    }
    return undefined;
  }

  /** Slots that got another owner since the last call: what others keep by slot is no longer true of them. */
  takeFresh(): readonly number[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }

  /** The id is gone from the policy. Its slot is free again once nothing is in flight. */
  retire(id: string): void {
    if (this.#slotById.has(id)) this.#retiring.add(id);
    this.#sweep();
  }

  /** Ids that hold a slot and are not retiring. */
  ids(): readonly string[] {
    return [...this.#slotById.keys()].filter((id) => !this.#retiring.has(id));
  }

  start(slot: number, tokens: number): void {
    const at = slot * fieldsPerSlot;
    Atomics.add(this.#cells, at + fields.inFlight, 1);
    Atomics.add(this.#cells, at + fields.pendingTokens, tokens);
    Atomics.add(this.#cells, at + fields.started, 1);
  }

  /** `tokens` must be what `start` was given. */
  end(slot: number, tokens: number, outcome: CountedOutcome): void {
    const at = slot * fieldsPerSlot;
    Atomics.sub(this.#cells, at + fields.inFlight, 1);
    Atomics.sub(this.#cells, at + fields.pendingTokens, tokens);
    if (outcome !== "uncounted") Atomics.add(this.#cells, at + fields[outcome], 1);
  }

  inFlight(slot: number): number {
    return Atomics.load(this.#cells, slot * fieldsPerSlot + fields.inFlight);
  }

  pendingTokens(slot: number): number {
    return Atomics.load(this.#cells, slot * fieldsPerSlot + fields.pendingTokens);
  }

  counted(slot: number, what: "started" | "succeeded" | "failed"): number {
    return Atomics.load(this.#cells, slot * fieldsPerSlot + fields[what]) >>> 0;
  }

  #sweep(): void {
    for (const id of this.#retiring) {
      const slot = this.#slotById.get(id);
      if (slot === undefined || this.inFlight(slot) > 0) continue;
      this.#slotById.delete(id);
      this.#idBySlot[slot] = undefined;
      this.#retiring.delete(id);
    }
  }

  #clear(slot: number): void {
    const at = slot * fieldsPerSlot;
    for (let field = 0; field < fieldsPerSlot; field++) Atomics.store(this.#cells, at + field, 0);
  }
}
