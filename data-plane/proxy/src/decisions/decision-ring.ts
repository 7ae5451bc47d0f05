// The last requests in memory. Adding one is one store into an array: what nobody asks for is never converted. A search
// walks the ring, which costs a millisecond in ten thousand records and is rare.

import type { DecisionRecord } from "@meridian/proto/gen/decision_pb";
import type { FinishedExchange } from "../server/index.ts";
import { decisionRecord } from "./decision-record.ts";

export type RingOptions = {
  readonly proxy: string;
  readonly region: string;
  /** How many requests are remembered. */
  readonly recordsMax: number;
};

/** As it came, or converted already. */
type Kept = FinishedExchange | DecisionRecord;

export class DecisionRing {
  readonly #options: RingOptions;
  readonly #kept: (Kept | undefined)[];
  /** Age of the state at each one's end, in milliseconds; NaN: there was none. */
  readonly #stateAges: Float64Array;
  #next = 0;

  constructor(options: RingOptions) {
    this.#options = options;
    this.#kept = new Array(options.recordsMax).fill(undefined);
    this.#stateAges = new Float64Array(options.recordsMax);
  }

  /** stateAgeMs: NaN when there was no state. */
  add(kept: Kept, stateAgeMs: number): void {
    const at = this.#next;
    this.#kept[at] = kept;
    this.#stateAges[at] = stateAgeMs;
    this.#next = at + 1 === this.#kept.length ? 0 : at + 1;
  }

  /** Records with this decision id or request id, newest first. */
  find(id: string, recordsMax: number): readonly DecisionRecord[] {
    return this.#select(recordsMax, (kept) => kept.requestId === id || decisionId(kept) === id);
  }

  /** The newest first. */
  latest(recordsMax: number): readonly DecisionRecord[] {
    return this.#select(recordsMax, () => true);
  }

  /** Arrival of the oldest one, milliseconds since 1970; 0: there is none. */
  oldestMs(): number {
    const oldest = this.#kept[this.#next] ?? this.#kept[0];
    if (oldest === undefined) return 0;
    return isRecord(oldest) ? Number(oldest.arrivedMs) : Math.round(oldest.arrivedAtMs);
  }

  #select(recordsMax: number, matches: (kept: Kept) => boolean): readonly DecisionRecord[] {
    const found: DecisionRecord[] = [];
    const size = this.#kept.length;
    for (let back = 1; back <= size && found.length < recordsMax; back += 1) {
      const at = (this.#next - back + size) % size;
      const kept = this.#kept[at];
      if (kept === undefined) break;
      if (matches(kept)) found.push(this.#record(kept, this.#stateAges[at] ?? Number.NaN));
    }
    return found;
  }

  #record(kept: Kept, stateAgeMs: number): DecisionRecord {
    if (isRecord(kept)) return kept;
    const { proxy, region } = this.#options;
    const age = Number.isNaN(stateAgeMs) ? undefined : stateAgeMs;
    return decisionRecord(kept, { proxy, region, stateAgeMs: age });
  }
}

function isRecord(kept: Kept): kept is DecisionRecord {
  return "$typeName" in kept;
}

function decisionId(kept: Kept): string {
  return isRecord(kept) ? kept.id : kept.decisionId;
}
