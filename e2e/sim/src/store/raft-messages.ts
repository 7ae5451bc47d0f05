// What the members of the model store say to each other, and what their log holds. Raft as etcd runs it: pre-vote, check
// of the quorum, reads confirmed by a round of heartbeats. Source: Ongaro, Ousterhout, "In Search of an Understandable
// Consensus Algorithm"; etcd's raft library.

import type { ModelWrite } from "@meridian/control-core/watch-model";

/** A condition on one key; 0: it must not exist. */
export type RowCompare = { readonly key: string; readonly modRevision: number };

export type RowPut = { readonly key: string; readonly value: Uint8Array; readonly lease: number };

export type LogCommand =
  | {
      readonly kind: "txn";
      readonly compare: readonly RowCompare[];
      readonly puts: readonly RowPut[];
      readonly deletes: readonly string[];
    }
  | { readonly kind: "grant"; readonly lease: number; readonly ttlMs: number }
  | { readonly kind: "revoke"; readonly lease: number }
  /** A new leader's first: what came before it is committed with it. */
  | { readonly kind: "nothing" };

export type LogEntry = { readonly term: number; readonly command: LogCommand };

export type RaftMessage =
  | {
      readonly kind: "append";
      readonly term: number;
      readonly leader: number;
      /** Number of entries before those sent, and the term of the last of them. */
      readonly before: number;
      readonly beforeTerm: number;
      readonly entries: readonly LogEntry[];
      readonly committed: number;
      /** Counts heartbeat rounds; echoed, so that a read knows who still follows. */
      readonly round: number;
    }
  | {
      readonly kind: "appended";
      readonly term: number;
      readonly from: number;
      /** Entries that are the leader's own now; undefined: what was before does not fit. */
      readonly matched: number | undefined;
      readonly round: number;
    }
  | {
      readonly kind: "ask-vote";
      readonly term: number;
      readonly from: number;
      readonly isTrial: boolean;
      readonly entries: number;
      readonly lastTerm: number;
    }
  | {
      readonly kind: "vote";
      readonly term: number;
      readonly from: number;
      readonly isTrial: boolean;
      readonly isGiven: boolean;
    };

/** What a command did where it was applied. */
export type Applied =
  | { readonly kind: "done"; readonly revision: number }
  | { readonly kind: "conflict" };

export type { ModelWrite };
