// Keeps a copy of all keys with one prefix up to date: list, watch, and list again where history is gone.
// The copy outlives the store's absence: it only becomes stale (design 1.2).

import { type Change, Mirror } from "@meridian/control-core/watch";
import { assert, assertNever, fullJitterMs, type Random } from "@meridian/proto/base";
import { checkPrefix } from "./check-request.ts";
import type { Entry, Revision, Store, WatchNotice } from "./store.ts";

/** stale: the store may have moved on without us; before the first listing, and when contact is lost. */
export type MirrorState = "fresh" | "stale";

export type MirrorOptions = {
  readonly store: Store;
  readonly prefix: string;
  /** For the jitter of retries. */
  readonly random: Random;
  /** What changed, in order, already in `entries`. Must not throw. */
  readonly onChange?: (changes: readonly Change[], revision: Revision) => void;
  readonly onState?: (state: MirrorState) => void;
  /** How long contact may be lost before the copy is called stale. Default 2,000. */
  readonly graceMs?: number;
};

/**
 * A running mirror. Ends with close().
 *
 * @example
 * const runtime = openMirror({ store, prefix: keys.runtimePrefix, random, onChange: (changes) => plan(changes) });
 * await runtime.ready;
 * runtime.entries.get(keys.digest("eu-west"))?.value
 */
export type StoreMirror = {
  /** The copy as it stands; live, so don't keep an iterator over it across an await. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** Nothing is missing up to here; 0 before the first listing. */
  readonly revision: () => Revision;
  readonly state: () => MirrorState;
  /** Settles with the first listing, or with close(). Never rejects; without a store it waits. */
  readonly ready: Promise<void>;
  readonly close: () => void;
};

export function openMirror(options: MirrorOptions): StoreMirror {
  const refusal = checkPrefix(options.prefix);
  assert(refusal === undefined, refusal?.message ?? "");
  return new RunningMirror(options);
}

class RunningMirror implements StoreMirror {
  readonly #mirror = new Mirror();
  readonly entries: ReadonlyMap<string, Entry> = this.#mirror.entries;
  readonly ready: Promise<void>;
  readonly #options: MirrorOptions;
  readonly #settled = Promise.withResolvers<void>();
  #state: MirrorState = "stale";
  #watch = new AbortController();
  #retry: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;
  #attempts = 0;
  #closed = false;

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.ready = this.#settled.promise;
    void this.#relist();
  }

  readonly revision = (): Revision => {
    return this.#mirror.revision;
  };

  readonly state = (): MirrorState => {
    return this.#state;
  };

  readonly close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.abort();
    clearTimeout(this.#retry);
    clearTimeout(this.#grace);
    this.#settled.resolve();
  };

  async #relist(): Promise<void> {
    const { store, prefix, random } = this.#options;
    const listing = await store.list(prefix);
    if (this.#closed) return;
    if (listing.kind === "err") {
      this.#loseContact();
      const waitMs = fullJitterMs(this.#attempts++, { baseMs: 200, capMs: 5_000 }, random);
      this.#retry = setTimeout(() => void this.#relist(), waitMs);
      return;
    }
    this.#attempts = 0;
    this.#tell(this.#mirror.reset(listing.value));
    this.#regainContact();
    this.#settled.resolve();
    this.#startWatch(listing.value.revision + 1);
  }

  #startWatch(from: Revision): void {
    if (this.#closed) return;
    this.#watch = new AbortController();
    const { store, prefix } = this.#options;
    const { signal } = this.#watch;
    store.watch({ prefix, from, signal, notify: (notice) => this.#take(notice) });
  }

  #take(notice: WatchNotice): void {
    switch (notice.kind) {
      case "events":
        this.#tell(this.#mirror.apply(notice.events));
        return;
      case "progress":
        this.#mirror.advance(notice.revision);
        return;
      case "compacted":
        this.#watch.abort();
        this.#loseContact();
        void this.#relist();
        return;
      case "interrupted":
        this.#loseContact();
        return;
      case "resumed":
        this.#regainContact();
        return;
      default:
        assertNever(notice);
    }
  }

  #tell(changes: readonly Change[]): void {
    if (changes.length > 0) this.#options.onChange?.(changes, this.#mirror.revision);
  }

  /** A cut that mends at once changes nothing; the grace keeps the state from flapping. */
  #loseContact(): void {
    if (this.#closed) return;
    this.#grace ??= setTimeout(() => this.#enter("stale"), this.#options.graceMs ?? 2_000);
  }

  #regainContact(): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
    this.#enter("fresh");
  }

  #enter(state: MirrorState): void {
    if (this.#closed || state === this.#state) return;
    this.#state = state;
    this.#options.onState?.(state);
  }
}
