// What own clients ask of each model and what each backend has done of it, in one buffer, striped by thread like the
// load table and by the same slots. Eight-byte floats with one writer each, for the reason that engine-totals.ts tells.

import { defaultSlots, oneStripe, type Stripes } from "./load-table.ts";

const fields = {
  requests: 0,
  tokens: 1,
  sentAway: 2,
  doneTokens: 3,
  /** What requests were expected to use and what they did use, fading: their ratio corrects what is expected next. */
  expected: 4,
  used: 5,
} as const;

/** 64 bytes: a slot of a stripe is a cache line of its own. */
const fieldsPerSlot = 8;

/** Tokens that speak for expectations as they are, against the first requests that end: about a dozen of them. */
const priorTokens = 4_000;

/** A request's weight is down to a third after so many more on its thread. */
const memoryRequests = 500;

/** Of a model, or of a backend: what it has counted since its slot was given to it. */
export type Demanded = {
  readonly requests: number;
  readonly tokens: number;
  /** Of the requests, those that another region was asked for. */
  readonly sentAway: number;
};

export function demandBufferBytes(slots: number, stripes = 1): number {
  return slots * stripes * fieldsPerSlot * Float64Array.BYTES_PER_ELEMENT;
}

/**
 * Counters that grow, by slot: a model's (`pool/<model>`) or a backend's.
 *
 * @example
 * demand.arrived(poolSlot, 900); … demand.ended(poolSlot, { expected: 900, used: 640, away: false });
 * demand.worked(backendSlot, 640);
 */
export class Demand {
  readonly #cells: Float64Array;
  readonly #stripeCells: number;
  readonly #own: number;

  constructor(
    buffer: ArrayBufferLike = new ArrayBuffer(demandBufferBytes(defaultSlots)),
    stripes: Stripes = oneStripe,
  ) {
    this.#cells = new Float64Array(buffer);
    this.#stripeCells = this.#cells.length / stripes.count;
    this.#own = stripes.own * this.#stripeCells;
  }

  /**
   * A request of an own client. `expected`: tokens by its length and its limit; counted is what such requests of the
   * model turned out to use of that, as few clients use up their limits.
   */
  arrived(pool: number, expected: number): void {
    this.#add(pool, fields.requests, 1);
    this.#add(pool, fields.tokens, expected * this.#usualShare(pool));
  }

  /** The request ended. One that used nothing teaches nothing. */
  ended(pool: number, request: { expected: number; used: number; away: boolean }): void {
    if (request.away) this.#add(pool, fields.sentAway, 1);
    if (request.used <= 0) return;
    this.#fade(pool, fields.expected, request.expected);
    this.#fade(pool, fields.used, request.used);
  }

  /** A backend answered, wherever the client was. */
  worked(backend: number, tokens: number): void {
    this.#add(backend, fields.doneTokens, tokens);
  }

  read(pool: number): Demanded {
    return {
      requests: this.#sum(pool, fields.requests),
      tokens: this.#sum(pool, fields.tokens),
      sentAway: this.#sum(pool, fields.sentAway),
    };
  }

  doneTokens(backend: number): number {
    return this.#sum(backend, fields.doneTokens);
  }

  /** The slot has a new owner. Every thread does it for its own stripe. */
  forget(slot: number): void {
    const at = this.#own + slot * fieldsPerSlot;
    this.#cells.fill(0, at, at + fieldsPerSlot);
  }

  #usualShare(pool: number): number {
    const expected = this.#sum(pool, fields.expected);
    const used = this.#sum(pool, fields.used);
    return (used + priorTokens) / (expected + priorTokens);
  }

  #add(slot: number, field: number, amount: number): void {
    const at = this.#own + slot * fieldsPerSlot + field;
    this.#cells[at] = (this.#cells[at] ?? 0) + amount;
  }

  #fade(slot: number, field: number, amount: number): void {
    const at = this.#own + slot * fieldsPerSlot + field;
    this.#cells[at] = (this.#cells[at] ?? 0) * (1 - 1 / memoryRequests) + amount;
  }

  /** Over all threads. */
  #sum(slot: number, field: number): number {
    let sum = 0;
    const first = slot * fieldsPerSlot + field;
    for (let at = first; at < this.#cells.length; at += this.#stripeCells) {
      sum += this.#cells[at] ?? 0;
    }
    return sum;
  }
}
