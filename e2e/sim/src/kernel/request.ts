// A request of the simulated world, and what became of it.

import type { Instant } from "@meridian/proto/base";

export type SimRequest = {
  readonly id: number;
  /** When the client sends it. */
  readonly at: Instant;
  /** Where the client lives. */
  readonly region: string;
  readonly session: number;
  /** Names of the prompt's full blocks, a hash chain: equal leading ids are an equal beginning. */
  readonly blocks: readonly number[];
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly tenant: string;
  readonly model: string;
};

/**
 * How a request ended for its client. `complete`: the whole answer. `refused`: an error status before any token.
 * `broken`: an answer that began and was told to be cut. `unheard`: the client itself gave up or lost its connection.
 */
export type ClientEnding = "complete" | "refused" | "broken" | "unheard";

/** Filled in while the request runs. Instants are the client's own. */
export type RequestRecord = {
  readonly request: SimRequest;
  firstTokenAt: Instant | undefined;
  endedAt: Instant | undefined;
  ending: ClientEnding | undefined;
  /** Calls to backends and to other regions. */
  attempts: number;
  /** Where the answer came from. */
  servedBy: string | undefined;
  servedIn: string | undefined;
  /** Prompt tokens that the serving backend had in its cache. */
  hitTokens: number;
  /** Served by another region than the one whose proxy the client asked. */
  remote: boolean;
  outputTokens: number;
};

/** All requests of a run, in the order in which they began. */
export class Records {
  readonly all: RequestRecord[] = [];
  #open = 0;
  #closedTwice = 0;

  begin(request: SimRequest): RequestRecord {
    const record: RequestRecord = {
      request,
      firstTokenAt: undefined,
      endedAt: undefined,
      ending: undefined,
      attempts: 0,
      servedBy: undefined,
      servedIn: undefined,
      hitTokens: 0,
      remote: false,
      outputTokens: 0,
    };
    this.all.push(record);
    this.#open += 1;
    return record;
  }

  /** Every request ends once; a second ending is counted and changes nothing. */
  end(record: RequestRecord, ending: ClientEnding, now: Instant): void {
    if (record.ending !== undefined) {
      this.#closedTwice += 1;
      return;
    }
    record.ending = ending;
    record.endedAt = now;
    this.#open -= 1;
  }

  /** Requests that have not ended yet. */
  get open(): number {
    return this.#open;
  }

  get closedTwice(): number {
    return this.#closedTwice;
  }
}
