// The last requests in memory. Adding one is a few stores into arrays that are there already: what nobody asks for is never
// converted. A search walks the ring, which costs half a millisecond for ten thousand and is rare.

import type { DecisionRecord } from "@meridian/proto/gen/decision_pb";
import { DecisionColumns } from "./decision-columns.ts";
import { decisionRecord, type ExplainedExchange } from "./decision-record.ts";

export type RingOptions = {
  readonly proxy: string;
  readonly region: string;
  /** How many requests are remembered. */
  readonly recordsMax: number;
};

export class DecisionRing {
  readonly #options: RingOptions;
  readonly #columns: DecisionColumns;
  /** What does not fit the columns. */
  readonly #records: (DecisionRecord | undefined)[];
  /** Age of the state at each one's end, in milliseconds; NaN: there was none. */
  readonly #stateAges: Float64Array;
  #next = 0;
  #count = 0;

  constructor(options: RingOptions) {
    const { recordsMax } = options;
    this.#options = options;
    this.#columns = new DecisionColumns(recordsMax);
    this.#records = new Array(recordsMax).fill(undefined);
    this.#stateAges = new Float64Array(recordsMax);
  }

  /** Only for what fits the columns. stateAgeMs: NaN when there was no state. */
  add(finished: ExplainedExchange, stateAgeMs: number): void {
    const at = this.#take();
    this.#columns.write(at, finished);
    this.#records[at] = undefined;
    this.#stateAges[at] = stateAgeMs;
  }

  addRecord(record: DecisionRecord): void {
    this.#records[this.#take()] = record;
  }

  /** Records with this decision id or request id, newest first. */
  find(id: string, recordsMax: number): readonly DecisionRecord[] {
    return this.#select(recordsMax, (at) => {
      const record = this.#records[at];
      if (record === undefined) return this.#columns.isAbout(at, id);
      return record.id === id || record.requestId === id;
    });
  }

  /** The newest first. */
  latest(recordsMax: number): readonly DecisionRecord[] {
    return this.#select(recordsMax, () => true);
  }

  /** Arrival of the oldest one, milliseconds since 1970; 0: there is none. */
  oldestMs(): number {
    if (this.#count === 0) return 0;
    const at = this.#count < this.#records.length ? 0 : this.#next;
    const record = this.#records[at];
    if (record !== undefined) return Number(record.arrivedMs);
    return Math.round(this.#columns.arrivedAtMs(at));
  }

  #take(): number {
    const at = this.#next;
    const size = this.#records.length;
    this.#next = at + 1 === size ? 0 : at + 1;
    if (this.#count < size) this.#count += 1;
    return at;
  }

  #select(recordsMax: number, matches: (at: number) => boolean): readonly DecisionRecord[] {
    const found: DecisionRecord[] = [];
    const size = this.#records.length;
    for (let back = 1; back <= this.#count && found.length < recordsMax; back += 1) {
      const at = (this.#next - back + size) % size;
      if (matches(at)) found.push(this.#records[at] ?? this.#read(at));
    }
    return found;
  }

  #read(at: number): DecisionRecord {
    const { proxy, region } = this.#options;
    const age = this.#stateAges[at] ?? Number.NaN;
    const stateAgeMs = Number.isNaN(age) ? undefined : age;
    return decisionRecord(this.#columns.read(at), { proxy, region, stateAgeMs });
  }
}
