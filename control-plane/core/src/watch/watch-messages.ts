// What goes into the watch engine and what comes out of it.

import type { Revision, StoreEvent } from "./entry.ts";

/** One message of etcd's Watch stream, in our terms. */
export type WatchResponse = {
  /** The header's: where the store stood when it was sent. Of use in progress notifications alone. */
  readonly revision: Revision;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly cancelReason: string;
  /** 0, or the revision up to which history is gone. */
  readonly compactRevision: Revision;
  /** More of the same response follows. */
  readonly fragment: boolean;
  readonly events: readonly StoreEvent[];
};

/** Says where a read over the network found the store. */
export type ProbeResult =
  | {
      readonly kind: "answered";
      /** Where the store stands. */
      readonly revision: Revision;
      /** The newest write to a key of the watch that still exists; 0 when there is none. */
      readonly newest: Revision;
    }
  | { readonly kind: "failed"; readonly message: string };

export type WatchInput =
  | { readonly kind: "start" }
  | { readonly kind: "response"; readonly stream: number; readonly response: WatchResponse }
  /** The stream ended: error, no leader, or closed by the other side. */
  | { readonly kind: "failed"; readonly stream: number; readonly message: string }
  | { readonly kind: "probed"; readonly probe: number; readonly result: ProbeResult }
  /** The time that `wakeAt` asked for has come. */
  | { readonly kind: "tick" };

/** What a watch tells its owner, in order. */
export type WatchNotice =
  /** All events of whole revisions, ordered by revision; `revision` is the last one's. */
  | { readonly kind: "events"; readonly revision: Revision; readonly events: readonly StoreEvent[] }
  /** The store said that nothing is missing up to here. */
  | { readonly kind: "progress"; readonly revision: Revision }
  /** The place to resume from is gone; the watch has ended. List, then watch again. */
  | { readonly kind: "compacted"; readonly oldest: Revision }
  /** The connection is lost (the watch goes on trying) or found again. */
  | { readonly kind: "interrupted"; readonly message: string }
  | { readonly kind: "resumed" };

/** live: a member with a quorum serves it. rebuilding: looking for one. stale: none was found, for too long. */
export type WatchState = "live" | "rebuilding" | "stale";

export type WatchCommand =
  /** Open a Watch stream with `fragment`, `progress_notify` and the `hasleader` metadata. */
  | {
      readonly kind: "open";
      readonly stream: number;
      readonly endpoint: number;
      readonly from: Revision;
    }
  | { readonly kind: "close"; readonly stream: number }
  /** Make a linearizable read for the newest write under the watch's prefix. */
  | {
      readonly kind: "probe";
      readonly probe: number;
      readonly endpoint: number;
      readonly deadlineMs: number;
    }
  | { readonly kind: "notify"; readonly notice: WatchNotice }
  | { readonly kind: "state"; readonly state: WatchState; readonly reason: string };

/** All in milliseconds. */
export type WatchTimings = {
  /** From opening a stream to its `created`. */
  readonly createMs: number;
  /** Without news for this long, the member is asked. Longer than the server's progress interval (5 s). */
  readonly quietMs: number;
  readonly probeMs: number;
  /** What a read saw must come by the watch within this time, or the watch is dead. */
  readonly overdueMs: number;
  /** Rebuilding for this long is stale. */
  readonly staleMs: number;
  /** A member that failed is avoided for this long. */
  readonly restMs: number;
  /** A watch that had to go to a farther member asks this often whether a nearer one is well again. */
  readonly homeMs: number;
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
};

/** An isolated member is noticed within quietMs + probeMs + overdueMs = 9 s (design 4; multiregion 2.6). */
export const watchTimings: WatchTimings = {
  createMs: 3_000,
  quietMs: 6_000,
  probeMs: 2_000,
  overdueMs: 1_000,
  staleMs: 8_000,
  restMs: 10_000,
  homeMs: 30_000,
  backoff: { baseMs: 100, capMs: 3_000 },
};
