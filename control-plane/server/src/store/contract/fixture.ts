// What the battery's tests share: the store they test, keys of their own, and a watch that records.

import { expect, vi } from "vitest";
import type {
  Entry,
  Lease,
  Operation,
  Revision,
  Store,
  StoreEvent,
  WatchNotice,
} from "../store.ts";

export type StoreSubject = {
  readonly store: Store;
  /** Makes a lease end as if its holder had been silent for its whole time. */
  readonly expireLease: (lease: Lease) => Promise<void>;
};

let rooms = 0;
const run = `${process.pid.toString(36)}${Date.now().toString(36)}`;

/** A prefix that no other test has. */
export function room(): string {
  return `/t/${run}/${rooms++}/`;
}

/** The operation that writes a text. */
export function put(key: string, text: string): Extract<Operation, { readonly kind: "put" }> {
  return { kind: "put", key, value: Buffer.from(text) };
}

export function remove(key: string): Operation {
  return { kind: "delete", key };
}

/** Commits without compares; the test fails when the store does. */
export async function write(store: Store, ...operations: readonly Operation[]): Promise<Revision> {
  const done = await store.commit({ compare: [], operations });
  if (done.kind === "err") throw new Error(`${done.error.kind}: ${done.error.message}`);
  return done.value;
}

export async function read(store: Store, key: string): Promise<Entry | undefined> {
  const got = await store.get(key);
  if (got.kind === "err") throw new Error(`${got.error.kind}: ${got.error.message}`);
  return got.value;
}

export function textOf(entry: Entry | undefined): string | undefined {
  return entry === undefined ? undefined : Buffer.from(entry.value).toString();
}

/** `put /key text` or `delete /key`, without the room. */
export function show(event: StoreEvent, from: string): string {
  if (event.kind === "delete") return `delete ${event.key.slice(from.length)}`;
  return `put ${event.entry.key.slice(from.length)} ${textOf(event.entry)}`;
}

/** A watch that keeps what it was told. End it with abort(). */
export class Recorder {
  readonly notices: WatchNotice[] = [];
  readonly #prefix: string;
  readonly #abort = new AbortController();

  constructor(store: Store, prefix: string, from: Revision) {
    this.#prefix = prefix;
    const notify = (notice: WatchNotice) => {
      this.notices.push(notice);
    };
    store.watch({ prefix, from, notify, signal: this.#abort.signal });
  }

  get events(): readonly StoreEvent[] {
    return this.notices.flatMap((notice) => (notice.kind === "events" ? notice.events : []));
  }

  get shown(): readonly string[] {
    return this.events.map((event) => show(event, this.#prefix));
  }

  /** Until so many events came. */
  async heard(count: number): Promise<readonly string[]> {
    await vi.waitFor(() => expect(this.events.length).toBeGreaterThanOrEqual(count), 10_000);
    return this.shown;
  }

  async toldOf(kind: WatchNotice["kind"]): Promise<WatchNotice> {
    return vi.waitFor(() => {
      const found = this.notices.find((notice) => notice.kind === kind);
      if (found === undefined) throw new Error(`no ${kind} was told`);
      return found;
    }, 10_000);
  }

  abort(): void {
    this.#abort.abort();
  }
}
