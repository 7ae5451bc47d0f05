// A copy of all keys with one prefix, built from listings and events. A listing that replaces another is compared
// with what is held, so that what was deleted in between is told as deleted (bumping the revision alone loses it).

import type { Entry, Listing, Revision, StoreEvent } from "./entry.ts";
import { eventRevision } from "./entry.ts";

/** What became of one key. */
export type Change =
  | { readonly kind: "put"; readonly entry: Entry; readonly previous: Entry | undefined }
  | { readonly kind: "delete"; readonly key: string; readonly previous: Entry };

/** The copy. Not ordered by key; `sortedEntries` is. */
export class Mirror {
  readonly #entries = new Map<string, Entry>();
  #revision: Revision = 0;

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** Up to here nothing is missing; 0 before the first listing. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Takes a listing as the truth, and tells what differs from what was held. */
  reset(listing: Listing): readonly Change[] {
    const changes: Change[] = [];
    const gone = new Map(this.#entries);
    for (const entry of listing.entries) {
      const previous = gone.get(entry.key);
      gone.delete(entry.key);
      if (previous !== undefined && sameEntry(previous, entry)) continue;
      this.#entries.set(entry.key, entry);
      changes.push({ kind: "put", entry, previous });
    }
    for (const [key, previous] of gone) {
      this.#entries.delete(key);
      changes.push({ kind: "delete", key, previous });
    }
    this.#revision = listing.revision;
    return changes;
  }

  /** Takes events in order. Those of a revision already held are passed over. */
  apply(events: readonly StoreEvent[]): readonly Change[] {
    const changes: Change[] = [];
    const held = this.#revision;
    for (const event of events) {
      const revision = eventRevision(event);
      if (revision <= held) continue;
      const change = this.#take(event);
      if (change !== undefined) changes.push(change);
      this.#revision = Math.max(this.#revision, revision);
    }
    return changes;
  }

  /** Nothing is missing up to a revision. */
  advance(revision: Revision): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  #take(event: StoreEvent): Change | undefined {
    if (event.kind === "put") {
      const { entry } = event;
      const previous = this.#entries.get(entry.key);
      this.#entries.set(entry.key, entry);
      return { kind: "put", entry, previous };
    }
    const previous = this.#entries.get(event.key);
    if (previous === undefined) return undefined;
    this.#entries.delete(event.key);
    return { kind: "delete", key: event.key, previous };
  }
}

/** Entries by key: the form in which two copies are compared. */
export function sortedEntries(entries: ReadonlyMap<string, Entry>): readonly Entry[] {
  return [...entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** A key at the same pair of revisions is the same write, but for a store that was restored to its past. */
function sameEntry(a: Entry, b: Entry): boolean {
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.value.length === b.value.length &&
    a.value.every((byte, index) => byte === b.value[index])
  );
}
