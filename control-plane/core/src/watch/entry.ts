// What a store holds and what happens to it, in etcd's model: keys, values, revisions.

/** A point in the store's history. Grows with every commit. Never shown to proxies: versions are ours (design 1.8). */
export type Revision = number;

/** One key as it stood at some revision. Keys are text that begins with "/"; values are bytes. */
export type Entry = {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision that made the key since it was last absent. */
  readonly createRevision: Revision;
  /** Revision that last wrote it. */
  readonly modRevision: Revision;
};

export type StoreEvent =
  | { readonly kind: "put"; readonly entry: Entry }
  | { readonly kind: "delete"; readonly key: string; readonly modRevision: Revision };

/** All keys of a prefix, sorted by key, as they stood at one revision. */
export type Listing = { readonly revision: Revision; readonly entries: readonly Entry[] };

/** The revision at which an event happened. */
export function eventRevision(event: StoreEvent): Revision {
  return event.kind === "put" ? event.entry.modRevision : event.modRevision;
}

export function eventKey(event: StoreEvent): string {
  return event.kind === "put" ? event.entry.key : event.key;
}
