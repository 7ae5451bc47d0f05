// What the calls of one request still have to do at their targets: a prompt without what is cached there, until the first
// token; an answer, until the end. What is done is no load any more.

import type { CountedOutcome, LoadTable } from "../load/index.ts";

type Call = { readonly slot: number; awaited: number; readonly rest: number };

/** One request's: rarely more than one, and two beside each other while a hedge runs. */
export class CallsUnderWay {
  readonly #load: LoadTable;
  readonly #calls: Call[] = [];

  constructor(load: LoadTable) {
    this.#load = load;
  }

  /** `awaited`: tokens to do before its first one; `rest`: after it. */
  started(slot: number, awaited: number, rest: number): void {
    this.#load.start(slot, awaited + rest, awaited);
    this.#calls.push({ slot, awaited, rest });
  }

  spoke(slot: number): void {
    const call = this.#calls.find((each) => each.slot === slot);
    if (call === undefined) return;
    this.#load.spoke(slot, call.awaited);
    call.awaited = 0;
  }

  ended(slot: number, outcome: CountedOutcome): void {
    const place = this.#calls.findIndex((each) => each.slot === slot);
    const call = this.#calls[place];
    if (call === undefined) return;
    this.#calls.splice(place, 1);
    this.#load.end(slot, call.awaited + call.rest, outcome, call.awaited);
  }
}
