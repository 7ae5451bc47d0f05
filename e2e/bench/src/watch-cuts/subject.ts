// The watch under test: the product's own store, whose every connection goes through the relay.

import {
  openStore,
  type Revision,
  type Store,
  type WatchNotice,
} from "@meridian/control-server/store";
import type { Random } from "@meridian/proto/base";
import { type Mark, markOf } from "./comparison.ts";

export type SubjectOptions = {
  /** http addresses of members, the preferred one first. */
  readonly endpoints: readonly string[];
  readonly prefix: string;
  readonly from: Revision;
  readonly random: Random;
  readonly onNotice?: (notice: WatchNotice) => void;
};

export type Subject = {
  readonly seen: readonly Mark[];
  readonly revision: () => Revision;
  /** How often the watch said that it was interrupted. */
  readonly interruptions: () => number;
  /** true once the store said that history is gone. */
  readonly isCompacted: () => boolean;
  readonly close: () => Promise<void>;
};

export async function openSubject(options: SubjectOptions): Promise<Subject> {
  const store = await openEtcd(options.endpoints, options.random);
  const ending = new AbortController();
  const seen: Mark[] = [];
  let revision = 0;
  let interruptions = 0;
  let isCompacted = false;

  function notify(notice: WatchNotice): void {
    if (notice.kind === "events") {
      for (const event of notice.events) seen.push(markOf(event));
      revision = notice.revision;
    }
    if (notice.kind === "interrupted") interruptions += 1;
    if (notice.kind === "compacted") isCompacted = true;
    options.onNotice?.(notice);
  }
  const { prefix, from } = options;
  store.watch({ prefix, from, notify, signal: ending.signal });
  return {
    seen,
    revision: () => revision,
    interruptions: () => interruptions,
    isCompacted: () => isCompacted,
    close: async () => {
      ending.abort();
      await store.close();
    },
  };
}

/** Opens the product's store on etcd members. */
export async function openEtcd(endpoints: readonly string[], random: Random): Promise<Store> {
  const opened = await openStore(`etcd:${endpoints.join(",")}`, {
    random,
    // An old etcd is what Debian has; the benches are about it.
    warn: () => undefined,
  });
  if (opened.kind === "err") throw new Error(`the store did not open: ${opened.error.message}`);
  return opened.value;
}

/** The revision at which a store stands. */
export async function revisionOf(store: Store): Promise<Revision> {
  const listing = await store.list("/nothing-is-here/");
  if (listing.kind === "err") throw new Error(`a list failed: ${listing.error.message}`);
  return listing.value.revision;
}
