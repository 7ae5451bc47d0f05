// What an engine counted over all targets, in one buffer, striped by thread like the load table.
// Eight-byte floats, as tokens outgrow 32 bits in a day: an aligned write of eight bytes is whole on every processor
// that Node is built for, and each stripe has one writer.

import { oneStripe, type Stripes } from "./load-table.ts";

/** One cache line a stripe. */
const fieldsPerStripe = 8;

const fields = {
  live: 0,
  requests: 1,
  inputTokens: 2,
  outputTokens: 3,
  answered: 4,
  failed: 5,
} as const;

export type Totals = {
  /** Requests admitted and not settled yet. */
  readonly live: number;
  /** Requests admitted so far; tokens likewise. */
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of clients' requests: answered, and failed for a reason of this region's. Others count as neither. */
  readonly answered: number;
  readonly failed: number;
};

/** What one request adds when it has ended. */
export type Settled = {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly edge: "answered" | "failed" | "nothing";
};

export function totalsBufferBytes(stripes = 1): number {
  return stripes * fieldsPerStripe * Float64Array.BYTES_PER_ELEMENT;
}

/** @example totals.begun(); … totals.settled({ inputTokens, outputTokens, edge }); totals.read() // → { live: 0, requests: 1, … } */
export class EngineTotals {
  readonly #cells: Float64Array;
  readonly #own: number;

  constructor(
    buffer: ArrayBufferLike = new ArrayBuffer(totalsBufferBytes()),
    stripes: Stripes = oneStripe,
  ) {
    this.#cells = new Float64Array(buffer);
    this.#own = stripes.own * fieldsPerStripe;
  }

  begun(): void {
    this.#add(fields.live, 1);
    this.#add(fields.requests, 1);
  }

  settled({ inputTokens, outputTokens, edge }: Settled): void {
    this.#add(fields.live, -1);
    this.#add(fields.inputTokens, inputTokens);
    this.#add(fields.outputTokens, outputTokens);
    if (edge !== "nothing") this.#add(fields[edge], 1);
  }

  /** Over all threads. */
  read(): Totals {
    const sum = (field: number) => {
      let total = 0;
      for (let at = field; at < this.#cells.length; at += fieldsPerStripe) {
        total += this.#cells[at] ?? 0;
      }
      return total;
    };
    return {
      live: sum(fields.live),
      requests: sum(fields.requests),
      inputTokens: sum(fields.inputTokens),
      outputTokens: sum(fields.outputTokens),
      answered: sum(fields.answered),
      failed: sum(fields.failed),
    };
  }

  /** Requests admitted so far by each stripe's thread. */
  requestsByStripe(): readonly number[] {
    const count = this.#cells.length / fieldsPerStripe;
    return Array.from(
      { length: count },
      (_, stripe) => this.#cells[stripe * fieldsPerStripe + fields.requests] ?? 0,
    );
  }

  #add(field: number, amount: number): void {
    const at = this.#own + field;
    this.#cells[at] = (this.#cells[at] ?? 0) + amount;
  }
}
