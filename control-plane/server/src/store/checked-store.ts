// A store that holds both sides to the contract: on in tests, off in production. What it finds is a defect of the
// program, so it is an assertion and not an error.

import { eventKey, eventRevision } from "@meridian/control-core/watch";
import { assert, type Result } from "@meridian/proto/base";
import type {
  Commit,
  Entry,
  Lease,
  LeaseId,
  Listing,
  Outcome,
  Revision,
  Store,
  StoreError,
  WatchNotice,
  WatchOptions,
} from "./store.ts";

export function checkedStore(store: Store): Store {
  return new CheckedStore(store);
}

class CheckedStore implements Store {
  readonly #store: Store;
  readonly #leases = new Set<LeaseId>();
  #closed = false;

  constructor(store: Store) {
    this.#store = store;
  }

  readonly get = async (key: string): Outcome<Entry | undefined> => {
    this.#checkOpen("get");
    const entry = checkAnswer(await this.#store.get(key));
    if (entry.kind === "ok" && entry.value !== undefined) {
      assert(entry.value.key === key, `asked for ${key}, got ${entry.value.key}`);
      checkEntry(entry.value);
    }
    return entry;
  };

  readonly list = async (prefix: string): Outcome<Listing> => {
    this.#checkOpen("list");
    const listing = checkAnswer(await this.#store.list(prefix));
    if (listing.kind === "ok") checkListing(listing.value, prefix);
    return listing;
  };

  readonly commit = async (commit: Commit): Outcome<Revision> => {
    this.#checkOpen("commit");
    for (const operation of commit.operations) {
      if (operation.kind === "delete" || operation.lease === undefined) continue;
      assert(this.#leases.has(operation.lease), "a lease that this store did not grant");
    }
    const before = JSON.stringify(commit);
    const done = checkAnswer(await this.#store.commit(commit));
    assert(JSON.stringify(commit) === before, "a commit was changed while it was under way");
    return done;
  };

  readonly watch = (options: WatchOptions): void => {
    this.#checkOpen("watch");
    const { prefix, from, signal } = options;
    assert(Number.isSafeInteger(from) && from >= 1, `a watch from revision ${from}`);
    assert(!signal.aborted, "a watch that is over before it begins");
    const check = new NoticeCheck(prefix, from, signal);
    const notify = (notice: WatchNotice) => {
      check.before(notice);
      options.notify(notice);
      check.after();
    };
    this.#store.watch({ ...options, notify });
  };

  readonly grantLease = async (ttlMs: number): Outcome<Lease> => {
    this.#checkOpen("grantLease");
    const lease = checkAnswer(await this.#store.grantLease(ttlMs));
    if (lease.kind === "ok") this.#leases.add(lease.value.id);
    return lease;
  };

  readonly compact = async (before: Revision): Outcome<void> => {
    this.#checkOpen("compact");
    return checkAnswer(await this.#store.compact(before));
  };

  readonly close = async (): Promise<void> => {
    this.#checkOpen("close");
    this.#closed = true;
    await this.#store.close();
  };

  #checkOpen(what: string): void {
    assert(!this.#closed, `${what} on a store that was closed`);
  }
}

/** `invalid` is the caller's defect; everything else may happen. */
function checkAnswer<T>(answer: Result<T, StoreError>): Result<T, StoreError> {
  if (answer.kind === "err") {
    assert(answer.error.kind !== "invalid", `an invalid request: ${answer.error.message}`);
  }
  return answer;
}

function checkEntry(entry: Entry): void {
  const { key, createRevision, modRevision } = entry;
  assert(createRevision >= 2 && createRevision <= modRevision, `${key}: revisions out of order`);
}

function checkListing(listing: Listing, prefix: string): void {
  let last = "";
  for (const entry of listing.entries) {
    checkEntry(entry);
    assert(entry.key.startsWith(prefix), `${entry.key} is not under ${prefix}`);
    assert(entry.key > last, `${entry.key} is out of order after ${last}`);
    assert(entry.modRevision <= listing.revision, `${entry.key} is newer than its listing`);
    last = entry.key;
  }
}

/** What one watch has told so far, held against what it may tell next. */
class NoticeCheck {
  readonly #prefix: string;
  readonly #signal: AbortSignal;
  #next: Revision;
  #ended = false;
  #interrupted = false;
  #busy = false;

  constructor(prefix: string, from: Revision, signal: AbortSignal) {
    this.#prefix = prefix;
    this.#next = from;
    this.#signal = signal;
  }

  before(notice: WatchNotice): void {
    assert(!this.#busy, "notified again before the last notice returned");
    assert(!this.#signal.aborted, `${notice.kind} after the watch was aborted`);
    assert(!this.#ended, `${notice.kind} after the watch ended`);
    this.#busy = true;
    if (notice.kind === "events") this.#checkEvents(notice);
    if (notice.kind === "progress") this.#advance(notice.revision);
    if (notice.kind === "compacted") this.#ended = true;
    if (notice.kind === "interrupted" || notice.kind === "resumed") {
      assert(this.#interrupted === (notice.kind === "resumed"), `${notice.kind} twice`);
      this.#interrupted = !this.#interrupted;
    }
  }

  after(): void {
    this.#busy = false;
  }

  #checkEvents(notice: Extract<WatchNotice, { readonly kind: "events" }>): void {
    assert(notice.events.length > 0, "an empty batch of events");
    let last = this.#next;
    for (const event of notice.events) {
      assert(eventKey(event).startsWith(this.#prefix), `${eventKey(event)}: outside the prefix`);
      assert(eventRevision(event) >= last, `${eventKey(event)}: an event out of order, or again`);
      last = eventRevision(event);
    }
    assert(last === notice.revision, "a batch whose revision is not its last event's");
    this.#advance(last);
  }

  #advance(revision: Revision): void {
    assert(revision >= this.#next, `revision ${revision} is told after ${this.#next - 1}`);
    this.#next = revision + 1;
  }
}
