// Numbers per target in one buffer: what is in flight, what is pending, what was counted. The buffer may be shared by
// threads: each thread counts in a stripe of its own, so that cores do not fight over cache lines, and reads are sums.
// Who owns a slot is slot-keeper.ts's business.

/** Int32 fields of one slot in one stripe. */
const fields = {
  inFlight: 0,
  pendingTokens: 1,
  started: 2,
  succeeded: 3,
  failed: 4,
  slow: 5,
  connectFailed: 6,
  timed: 7,
  awaitedTokens: 8,
} as const;

/** 64 bytes: each slot of each stripe is a cache line of its own. */
const fieldsPerSlot = 16;

/** Targets that one table holds by default: 4 pools of a large region's size. */
export const defaultSlots = 1_024;

/** The stripes of a shared buffer: how many there are, and which one this thread writes. */
export type Stripes = { readonly count: number; readonly own: number };

/** A buffer that nobody shares. */
export const oneStripe: Stripes = { count: 1, own: 0 };

/** Bytes that a table of so many slots needs. */
export function loadBufferBytes(slots: number, stripes = 1): number {
  return slots * stripes * fieldsPerSlot * Int32Array.BYTES_PER_ELEMENT;
}

/** What goes up and down; everything else only grows. */
type Amount = "inFlight" | "pendingTokens" | "awaitedTokens";

/** How a call ended, as far as counters care. */
export type CountedOutcome = "succeeded" | "failed" | "uncounted";

/**
 * The load of every target, by slot. Counters wrap at 2^32.
 *
 * @example
 * table.start(slot, 900, 644);
 * table.spoke(slot, 644);
 * table.end(slot, 256, "succeeded");
 */
export class LoadTable {
  /** Targets that have room. */
  readonly slots: number;
  readonly #cells: Int32Array;
  readonly #stripeCells: number;
  /** Where the own stripe begins. */
  readonly #own: number;

  constructor(
    buffer: ArrayBufferLike = new ArrayBuffer(loadBufferBytes(defaultSlots)),
    stripes: Stripes = oneStripe,
  ) {
    this.#cells = new Int32Array(buffer);
    this.slots = Math.floor(this.#cells.length / fieldsPerSlot / stripes.count);
    this.#stripeCells = this.slots * fieldsPerSlot;
    this.#own = stripes.own * this.#stripeCells;
  }

  /** `tokens`: all that the call has to do; `awaited`: of them, those that must be done before its first token. */
  start(slot: number, tokens: number, awaited = 0): void {
    const at = this.#own + slot * fieldsPerSlot;
    Atomics.add(this.#cells, at + fields.inFlight, 1);
    Atomics.add(this.#cells, at + fields.pendingTokens, tokens);
    Atomics.add(this.#cells, at + fields.started, 1);
    if (awaited !== 0) Atomics.add(this.#cells, at + fields.awaitedTokens, awaited);
  }

  /** Its first token came: the prompt is done. On the thread that started it; `awaited` as `start` was given it. */
  spoke(slot: number, awaited: number): void {
    const at = this.#own + slot * fieldsPerSlot;
    Atomics.sub(this.#cells, at + fields.pendingTokens, awaited);
    Atomics.sub(this.#cells, at + fields.awaitedTokens, awaited);
  }

  /** On the thread that started the call; `tokens` and `awaited` are what is left of what `start` was given. */
  end(slot: number, tokens: number, outcome: CountedOutcome, awaited = 0): void {
    const at = this.#own + slot * fieldsPerSlot;
    Atomics.sub(this.#cells, at + fields.inFlight, 1);
    Atomics.sub(this.#cells, at + fields.pendingTokens, tokens);
    if (awaited !== 0) Atomics.sub(this.#cells, at + fields.awaitedTokens, awaited);
    if (outcome !== "uncounted") Atomics.add(this.#cells, at + fields[outcome], 1);
  }

  /** Something about a call, once for each: it is late, its wait can be judged, no connection came about. */
  note(slot: number, what: "slow" | "timed" | "connectFailed"): void {
    Atomics.add(this.#cells, this.#own + slot * fieldsPerSlot + fields[what], 1);
  }

  inFlight(slot: number): number {
    return this.#sum(slot * fieldsPerSlot + fields.inFlight);
  }

  pendingTokens(slot: number): number {
    return this.#sum(slot * fieldsPerSlot + fields.pendingTokens);
  }

  /** Of the pending ones those that must be done before a first token: what stands before one more request. */
  awaitedTokens(slot: number): number {
    return this.#sum(slot * fieldsPerSlot + fields.awaitedTokens);
  }

  counted(slot: number, what: Exclude<keyof typeof fields, Amount>): number {
    return this.#sum(slot * fieldsPerSlot + fields[what]) >>> 0;
  }

  /** For a new owner: nobody may be counting on the slot. */
  clear(slot: number): void {
    for (let at = slot * fieldsPerSlot; at < this.#cells.length; at += this.#stripeCells) {
      for (let field = 0; field < fieldsPerSlot; field++) Atomics.store(this.#cells, at + field, 0);
    }
  }

  /** Over all stripes, as a 32-bit number. */
  #sum(first: number): number {
    let sum = Atomics.load(this.#cells, first);
    for (let at = first + this.#stripeCells; at < this.#cells.length; at += this.#stripeCells) {
      sum += Atomics.load(this.#cells, at);
    }
    return sum | 0;
  }
}
