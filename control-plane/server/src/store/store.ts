// The store contract: etcd's model, in the terms that Meridian needs. Two implementations pass one battery
// (store.contract.ts): embedded (one process, on disk) and etcd.

import type {
  Entry,
  Listing,
  Revision,
  StoreEvent,
  WatchNotice,
} from "@meridian/control-core/watch";
import type { Result } from "@meridian/proto/base";

export type { Entry, Listing, Revision, StoreEvent, WatchNotice };

/** What may go wrong, by what the caller should do about it. */
export type StoreError =
  /** A compare did not hold: read again and decide again. */
  | { readonly kind: "conflict"; readonly message: string }
  /** The revision asked for is gone: list, then watch from there. */
  | { readonly kind: "compacted"; readonly oldest: Revision; readonly message: string }
  /** The store can't be reached, or the outcome is unknown: retry with jitter. Commits may have taken effect. */
  | { readonly kind: "unavailable"; readonly message: string }
  /** The request itself is wrong: never retry. */
  | { readonly kind: "invalid"; readonly message: string };

export type Outcome<T> = Promise<Result<T, StoreError>>;

/** A condition on one key. `modRevision: 0` means that the key must not exist. */
export type Compare = { readonly key: string; readonly modRevision: Revision };

export type Operation =
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: Uint8Array;
      /** The key dies with this lease. */
      readonly lease?: LeaseId;
    }
  | { readonly kind: "delete"; readonly key: string };

/** All compares hold and all operations happen at one revision, or nothing happens. */
export type Commit = {
  readonly compare: readonly Compare[];
  readonly operations: readonly Operation[];
};

export type WatchOptions = {
  readonly prefix: string;
  /** First revision whose events are wanted, usually a list's revision + 1. */
  readonly from: Revision;
  /** Called in order, never again before it returned. Must not throw. */
  readonly notify: (notice: WatchNotice) => void;
  /** Ends the watch; nothing is notified afterwards. */
  readonly signal: AbortSignal;
};

export type LeaseId = string;

/** A promise to be alive, kept up by the store's shell until it is released or lost. */
export type Lease = {
  readonly id: LeaseId;
  /** Aborted when the lease can no longer be trusted: before the store itself lets its keys go. */
  readonly lost: AbortSignal;
  /** Ends the lease; its keys are deleted. */
  readonly release: () => Promise<void>;
};

/** Its functions need no `this`: a store may be taken apart and put together anew, as tests do. */
export type Store = {
  /** The key's newest entry, undefined when it does not exist. Linearizable. */
  readonly get: (key: string) => Outcome<Entry | undefined>;
  /** All keys with a prefix, sorted, at one revision. Linearizable. `""` lists everything. */
  readonly list: (prefix: string) => Outcome<Listing>;
  readonly commit: (commit: Commit) => Outcome<Revision>;
  /** Starts a watch; it survives lost connections by itself, without losing or repeating an event. */
  readonly watch: (options: WatchOptions) => void;
  /** ttlMs is at least 3,000. */
  readonly grantLease: (ttlMs: number) => Outcome<Lease>;
  /** Drops history before a revision. The embedded store does so by itself as well. */
  readonly compact: (before: Revision) => Outcome<void>;
  readonly close: () => Promise<void>;
};
