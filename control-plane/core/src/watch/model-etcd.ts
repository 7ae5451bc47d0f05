// A model of etcd's watch as the server's source has it, unpleasant habits included: the tests' and the simulator's opponent.
// Batches whose header carries the present revision, fragments, compaction that forgets deletions made at its
// own revision (3.4 before 3.4.36), and streams that may be cut at any point with messages under way.

import type { Entry, Listing, Revision, StoreEvent } from "./entry.ts";
import { eventKey } from "./entry.ts";
import type { ProbeResult, WatchResponse } from "./watch-messages.ts";

/** A write of one key; undefined deletes it, a number stands for one byte. */
export type ModelWrite = {
  readonly key: string;
  readonly value: Uint8Array | number | undefined;
};

export class ModelEtcd {
  /** By revision; 0 and 1 are empty. */
  readonly history: StoreEvent[][] = [[], []];
  readonly #entries = new Map<string, Entry>();
  compacted: Revision = 0;

  get revision(): Revision {
    return this.history.length - 1;
  }

  /** One transaction. A key is written once in it; deleting what is not there is nothing. */
  commit(writes: readonly ModelWrite[]): void {
    const revision = this.revision + 1;
    const events: StoreEvent[] = [];
    for (const [key, value] of new Map(writes.map((each) => [each.key, each.value]))) {
      const event = this.#write(key, value, revision);
      if (event !== undefined) events.push(event);
    }
    if (events.length > 0) this.history.push(events);
  }

  compact(revision: Revision): void {
    this.compacted = Math.max(this.compacted, Math.min(revision, this.revision));
  }

  list(prefix: string): Listing {
    const entries = [...this.#entries.values()].filter((each) => each.key.startsWith(prefix));
    return { revision: this.revision, entries: entries.sort((a, b) => (a.key < b.key ? -1 : 1)) };
  }

  /** What a linearizable read for the newest write answers. */
  probe(prefix: string): ProbeResult {
    const newest = Math.max(0, ...this.list(prefix).entries.map((each) => each.modRevision));
    return { kind: "answered", revision: this.revision, newest };
  }

  /** Events under a prefix from a revision on, as a watch that missed nothing sees them. */
  events(prefix: string, from: Revision): readonly StoreEvent[] {
    return this.history
      .slice(from)
      .flat()
      .filter((event) => eventKey(event).startsWith(prefix));
  }

  /** What the server's history still holds of one revision. */
  kept(revision: Revision, prefix: string): readonly StoreEvent[] {
    const events = this.history[revision] ?? [];
    return events.filter(
      (event) =>
        eventKey(event).startsWith(prefix) &&
        (revision > this.compacted || (revision === this.compacted && event.kind === "put")),
    );
  }

  #write(key: string, value: ModelWrite["value"], revision: Revision): StoreEvent | undefined {
    const held = this.#entries.get(key);
    if (value === undefined) {
      if (held === undefined) return undefined;
      this.#entries.delete(key);
      return { kind: "delete", key, modRevision: revision };
    }
    const createRevision = held?.createRevision ?? revision;
    const bytes = typeof value === "number" ? Uint8Array.of(value) : value;
    const entry = { key, value: bytes, createRevision, modRevision: revision };
    this.#entries.set(key, entry);
    return { kind: "put", entry };
  }
}

export type ModelWatchOptions = {
  readonly prefix: string;
  readonly from: Revision;
  /** Revisions in one batch of a watch that is behind: 1,000 in etcd. */
  readonly batchRevisions: number;
  /** Events in one fragment. */
  readonly fragmentEvents: number;
};

/** The server's end of one watch: what it would send, in order, if the stream holds. */
export class ModelWatch {
  readonly #etcd: ModelEtcd;
  readonly #options: ModelWatchOptions;
  /** Sent, not yet received. */
  readonly underway: WatchResponse[] = [];
  #created = false;
  #canceled = false;
  #next: Revision;

  constructor(etcd: ModelEtcd, options: ModelWatchOptions) {
    this.#etcd = etcd;
    this.#options = options;
    this.#next = options.from;
  }

  /** The server's loop once: created, then a batch, or a progress notification where there is nothing to tell. */
  serve(): void {
    if (this.#canceled) return;
    if (!this.#created) {
      this.#created = true;
      this.#send({ created: true });
    } else if (this.#next <= this.#etcd.revision) {
      if (this.#isGone()) this.#cancel();
      else this.#sendBatch();
    } else {
      this.#send({});
    }
  }

  /**
   * Kinder than 3.4 in one case: a watch that is behind by exactly the compaction's revision is cancelled too. There
   * the server drops a deletion on a stream that holds, which no client can know.
   */
  #isGone(): boolean {
    const { compacted } = this.#etcd;
    return this.#next < compacted || (this.#next === compacted && this.#next > this.#options.from);
  }

  #cancel(): void {
    this.#canceled = true;
    this.#send({ canceled: true, compactRevision: this.#etcd.compacted });
  }

  #sendBatch(): void {
    const { prefix, batchRevisions, fragmentEvents } = this.#options;
    const events: StoreEvent[] = [];
    let revisions = 0;
    while (this.#next <= this.#etcd.revision && revisions < batchRevisions) {
      const kept = this.#etcd.kept(this.#next++, prefix);
      if (kept.length > 0) revisions += 1;
      events.push(...kept);
    }
    for (let at = 0; at < events.length; at += fragmentEvents) {
      const fragment = at + fragmentEvents < events.length;
      this.#send({ fragment, events: events.slice(at, at + fragmentEvents) });
    }
  }

  #send(fields: Partial<WatchResponse>): void {
    this.underway.push({
      revision: this.#etcd.revision,
      created: false,
      canceled: false,
      cancelReason: "",
      compactRevision: 0,
      fragment: false,
      events: [],
      ...fields,
    });
  }
}
