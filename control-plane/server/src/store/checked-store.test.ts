import { err, ok } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { checkedStore } from "./checked-store.ts";
import type { Entry, Store, StoreError, WatchNotice } from "./store.ts";

const refused = async () => err<StoreError>({ kind: "invalid", message: "bad" });

function entry(key: string, modRevision: number): Entry {
  return { key, value: new Uint8Array(), createRevision: 2, modRevision };
}

function storeWith(parts: Partial<Store>): Store {
  return checkedStore({
    get: refused,
    list: refused,
    commit: refused,
    watch: () => undefined,
    grantLease: refused,
    compact: refused,
    close: async () => undefined,
    ...parts,
  });
}

/** A checked watch from revision 5 on /a/, told these notices by its store. */
function tell(notices: readonly WatchNotice[], abort = new AbortController()): void {
  const watched = storeWith({
    watch: (options) => {
      for (const notice of notices) options.notify(notice);
    },
  });
  watched.watch({ prefix: "/a/", from: 5, notify: () => undefined, signal: abort.signal });
}

function events(revision: number, ...entries: readonly Entry[]): WatchNotice {
  return {
    kind: "events",
    revision,
    events: entries.map((each) => ({ kind: "put", entry: each })),
  };
}

test.each<readonly [string, readonly WatchNotice[], string]>([
  ["an event from before the watch", [events(4, entry("/a/x", 4))], "out of order"],
  ["an event twice", [events(5, entry("/a/x", 5)), events(5, entry("/a/x", 5))], "out of order"],
  ["events out of order", [events(5, entry("/a/x", 6), entry("/a/y", 5))], "out of order"],
  ["an event outside the prefix", [events(5, entry("/b/x", 5))], "outside the prefix"],
  ["a revision that is not its last event's", [events(9, entry("/a/x", 5))], "last event"],
  ["an empty batch", [events(5)], "empty"],
  [
    "news after the end",
    [{ kind: "compacted", oldest: 9 }, { kind: "resumed" }],
    "after the watch",
  ],
  ["a resumption of what was not interrupted", [{ kind: "resumed" }], "twice"],
])("a store that tells %s breaks the contract", (_name, notices, message) => {
  expect(() => tell(notices)).toThrow(message);
});

test("a store that keeps to the contract is let through", () => {
  const interrupted = { kind: "interrupted", message: "cut" } as const;
  const told = [events(5, entry("/a/x", 5)), interrupted, { kind: "resumed" } as const];
  expect(() => tell([...told, { kind: "progress", revision: 8 }])).not.toThrow();
});

test("a caller that breaks its half is stopped", async () => {
  const ended = AbortSignal.abort();
  const notify = () => undefined;
  const store = storeWith({});
  await expect(store.get("/a")).rejects.toThrow("invalid request");
  expect(() => store.watch({ prefix: "/", from: 0, notify, signal: ended })).toThrow("revision 0");
  expect(() => store.watch({ prefix: "/", from: 1, notify, signal: ended })).toThrow("over before");
  const put = { kind: "put", key: "/a", value: new Uint8Array(), lease: "none" } as const;
  await expect(store.commit({ compare: [], operations: [put] })).rejects.toThrow("did not grant");
  await store.close();
  await expect(store.list("/")).rejects.toThrow("closed");
});

test("a listing out of order, outside its prefix or newer than itself breaks the contract", async () => {
  const listed = (...entries: readonly Entry[]) =>
    storeWith({ list: async () => ok({ revision: 5, entries }) }).list("/a/");
  await expect(listed(entry("/a/y", 3), entry("/a/x", 3))).rejects.toThrow("out of order");
  await expect(listed(entry("/b", 3))).rejects.toThrow("not under");
  await expect(listed(entry("/a/x", 6))).rejects.toThrow("newer");
  await expect(listed(entry("/a/x", 3), entry("/a/y", 5))).resolves.toMatchObject({ kind: "ok" });
});
