// The decision records of one proxy: the last requests in memory, and those that did not end plainly on disk as well,
// where a restart and a busy hour leave them.

import { join } from "node:path";
import type { Clock, Instant } from "@meridian/proto/base";
import type { DecisionRecord } from "@meridian/proto/gen/decision_pb";
import type { DecisionLog, FinishedExchange } from "../server/index.ts";
import { fitsColumns } from "./decision-columns.ts";
import { DecisionFile } from "./decision-file.ts";
import { decisionRecord } from "./decision-record.ts";
import { DecisionRing } from "./decision-ring.ts";
import { WriteBudget } from "./write-budget.ts";

export type Decisions = DecisionLog & {
  /** A state frame is in force from now on: later records tell its age. */
  readonly stateSeen: () => void;
  /** By decision id or request id. */
  readonly find: (id: string) => Promise<FoundDecisions>;
  /** The requests that ended last, the newest first. */
  readonly latest: (recordsMax: number) => Promise<readonly DecisionRecord[]>;
  /** Records that were to go to disk and did not: too many at once, or the disk refused. */
  readonly dropped: () => number;
  /** Resolves when what is to be kept is on disk. */
  readonly close: () => Promise<void>;
};

export type FoundDecisions = {
  /** Newest first; at most 16. */
  readonly records: readonly DecisionRecord[];
  /** Arrival of the oldest request in memory, milliseconds since 1970; 0: none. */
  readonly oldestMs: number;
};

export type DecisionsOptions = {
  readonly id: string;
  readonly region: string;
  readonly clock: Clock;
  /** Requests that are remembered; 0: nothing is kept at all. */
  readonly recordsMax: number;
  readonly dataDir: string;
  /** Name of the files in the data folder's `decisions`; each that writes at the same time has its own. */
  readonly name?: string;
  readonly segmentBytesMax?: number;
  readonly failed: (cause: unknown) => void;
};

/** Records that one question finds: a client may send one request id again and again. */
export const foundMax = 16;

const mebibyte = 1_048_576;
/** Two segments of a few thousand records: at this rate they hold the last minutes of the worst outage. */
const ownBudget = { perSecond: 20, burst: 200 };
/** What clients do themselves (wrong keys, wrong requests, leaving) must not push out what went wrong. */
const clientBudget = { perSecond: 2, burst: 20 };

export function createDecisions(options: DecisionsOptions): Decisions {
  return options.recordsMax === 0 ? nothingKept : new KeptDecisions(options);
}

const nothingKept: Decisions = {
  record: () => undefined,
  stateSeen: () => undefined,
  find: async () => ({ records: [], oldestMs: 0 }),
  latest: async () => [],
  dropped: () => 0,
  close: async () => undefined,
};

class KeptDecisions implements Decisions {
  readonly #options: DecisionsOptions;
  readonly #ring: DecisionRing;
  readonly #file: DecisionFile;
  readonly #ownFaults = new WriteBudget(ownBudget);
  readonly #clientFaults = new WriteBudget(clientBudget);
  #stateAt: Instant = Number.NaN;
  #overBudget = 0;

  constructor(options: DecisionsOptions) {
    const { id, region, recordsMax, dataDir, name = "main", failed } = options;
    const { segmentBytesMax = 4 * mebibyte } = options;
    this.#options = options;
    this.#ring = new DecisionRing({ proxy: id, region, recordsMax });
    const path = join(dataDir, "decisions", name);
    this.#file = new DecisionFile({ path, segmentBytesMax, failed });
  }

  /** Nearly all requests end plainly, and cost a few stores. */
  record(finished: FinishedExchange): void {
    const now = this.#options.clock.now();
    const stateAgeMs = now - this.#stateAt;
    const fits = fitsColumns(finished);
    if (fits) this.#ring.add(finished, stateAgeMs);
    if (isPlain(finished)) return;
    const budget = isClientsDoing(finished) ? this.#clientFaults : this.#ownFaults;
    const isWritten = budget.take(now);
    if (!isWritten) this.#overBudget += 1;
    if (fits && !isWritten) return;
    const { id, region } = this.#options;
    const age = Number.isNaN(stateAgeMs) ? undefined : stateAgeMs;
    const record = decisionRecord(finished, { proxy: id, region, stateAgeMs: age });
    if (!fits) this.#ring.addRecord(record);
    if (isWritten) this.#file.add(record);
  }

  stateSeen(): void {
    this.#stateAt = this.#options.clock.now();
  }

  async find(id: string): Promise<FoundDecisions> {
    const recent = this.#ring.find(id, foundMax);
    const kept = await this.#file.find(id, foundMax);
    return { records: merge([recent, kept], foundMax), oldestMs: this.#ring.oldestMs() };
  }

  async latest(recordsMax: number): Promise<readonly DecisionRecord[]> {
    const recent = this.#ring.latest(recordsMax);
    if (recent.length >= recordsMax) return recent;
    return merge([recent, await this.#file.latest(recordsMax)], recordsMax);
  }

  dropped(): number {
    return this.#overBudget + this.#file.dropped;
  }

  close(): Promise<void> {
    return this.#file.flush();
  }
}

/** Each decision once; the earlier list wins. */
function merge(
  lists: readonly (readonly DecisionRecord[])[],
  recordsMax: number,
): readonly DecisionRecord[] {
  const byId = new Map<string, DecisionRecord>();
  for (const each of lists.flat()) if (!byId.has(each.id)) byId.set(each.id, each);
  return [...byId.values()].slice(0, recordsMax);
}

/** Answered in full by the first who was asked. */
function isPlain({ ending, outcome }: FinishedExchange): boolean {
  return ending === "complete" && outcome?.attempts.length === 1;
}

/** Refused before anybody was asked, for instance: a wrong key, an unknown model. */
function isClientsDoing({ ending, outcome, status }: FinishedExchange): boolean {
  if (ending === "client-gone" || ending === "rejected") return true;
  return ending === "refused" && outcome === undefined && status < 500;
}
