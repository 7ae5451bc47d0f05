// The battery's part on watches: order, whole revisions, resuming, compaction, the end.

import { Mirror, sortedEntries } from "@meridian/control-core/watch";
import { describe, expect, test } from "vitest";
import { put, Recorder, remove, room, type StoreSubject, textOf, write } from "./fixture.ts";

export function watchContract(subject: () => StoreSubject): void {
  describe("a watch", () => {
    test("tells what happened from its revision on, and goes on with what happens", async () => {
      const { store } = subject();
      const at = room();
      await write(store, put(`${at}a`, "before"));
      const from = await write(store, put(`${at}a`, "1"));
      await write(store, put(`${at}b`, "2"));
      const watch = new Recorder(store, at, from);
      expect(await watch.heard(2)).toEqual(["put a 1", "put b 2"]);
      await write(store, remove(`${at}a`));
      expect(await watch.heard(3)).toEqual(["put a 1", "put b 2", "delete a"]);
      watch.abort();
    });

    test("tells a revision's events together, with their revisions", async () => {
      const { store } = subject();
      const at = room();
      const first = await write(store, put(`${at}a`, "1"), put(`${at}b`, "1"));
      const second = await write(store, put(`${at}a`, "2"), remove(`${at}b`), put(`${at}c`, "2"));
      const watch = new Recorder(store, at, first);
      await watch.heard(5);
      for (const notice of watch.notices) {
        if (notice.kind !== "events") continue;
        expect([first, second]).toContain(notice.revision);
        expect(notice.events.length).toBe(notice.revision === first ? 2 : notice.events.length);
      }
      const entry = watch.events.find(
        (event) => event.kind === "put" && event.entry.modRevision === second,
      );
      expect(entry).toMatchObject({ entry: { createRevision: first, modRevision: second } });
      watch.abort();
    });

    test("tells of its prefix alone", async () => {
      const { store } = subject();
      const at = room();
      const from = await write(store, put(`${at}x/a`, "1"));
      await write(store, put(`${at}xx`, "no"), put(`${at}y/a`, "no"), put(`${at}x/b`, "2"));
      const watch = new Recorder(store, `${at}x/`, from);
      expect(await watch.heard(2)).toEqual(["put a 1", "put b 2"]);
      watch.abort();
    });

    test("does not tell of a deletion of what is not there", async () => {
      const { store } = subject();
      const at = room();
      const from = await write(store, put(`${at}a`, "1"));
      await write(store, remove(`${at}none`));
      await write(store, put(`${at}b`, "1"));
      const watch = new Recorder(store, at, from);
      expect(await watch.heard(2)).toEqual(["put a 1", "put b 1"]);
      watch.abort();
    });
  });

  watchEndContract(subject);
  replayContract(subject);
}

function watchEndContract(subject: () => StoreSubject): void {
  describe("a watch's beginning and end", () => {
    test("from a revision to come waits for it", async () => {
      const { store } = subject();
      const at = room();
      const now = await write(store, put(`${at}a`, "1"));
      const watch = new Recorder(store, at, now + 2);
      await write(store, put(`${at}a`, "2"));
      await write(store, put(`${at}a`, "3"));
      expect(await watch.heard(1)).toEqual(["put a 3"]);
      watch.abort();
    });

    test("after its abort nothing is told any more", async () => {
      const { store } = subject();
      const at = room();
      const from = await write(store, put(`${at}a`, "1"));
      const [ended, other] = [new Recorder(store, at, from), new Recorder(store, at, from)];
      await Promise.all([ended.heard(1), other.heard(1)]);
      ended.abort();
      await write(store, put(`${at}a`, "2"));
      await other.heard(2);
      expect(ended.shown).toEqual(["put a 1"]);
      other.abort();
    });

    test("an abort out of the notice itself ends it at once", async () => {
      const { store } = subject();
      const at = room();
      const from = await write(store, put(`${at}a`, "1"));
      await write(store, put(`${at}a`, "2"));
      const abort = new AbortController();
      const told = await new Promise<string[]>((resolve) => {
        const kinds: string[] = [];
        const notify = (notice: { readonly kind: string }) => {
          kinds.push(notice.kind);
          abort.abort();
          resolve(kinds);
        };
        store.watch({ prefix: at, from, notify, signal: abort.signal });
      });
      const other = new Recorder(store, at, from);
      await other.heard(2);
      other.abort();
      expect(told.length).toBe(1);
    });

    test("from before a compaction it is told where history begins, and ends", async () => {
      const { store } = subject();
      const at = room();
      const first = await write(store, put(`${at}a`, "1"));
      await write(store, remove(`${at}a`));
      const third = await write(store, put(`${at}a`, "3"));
      expect(await store.compact(third)).toMatchObject({ kind: "ok" });
      expect(await store.compact(first)).toMatchObject({ kind: "ok" });
      const late = new Recorder(store, at, third - 1);
      expect(await late.toldOf("compacted")).toEqual({ kind: "compacted", oldest: third });
      const intime = new Recorder(store, at, third);
      expect(await intime.heard(1)).toEqual(["put a 3"]);
      expect(late.notices.length).toBe(1);
      intime.abort();
    });

    test("a deletion at the revision that history begins with is told", async () => {
      const { store } = subject();
      const at = room();
      await write(store, put(`${at}a`, "1"));
      const deleted = await write(store, remove(`${at}a`));
      await store.compact(deleted);
      const watch = new Recorder(store, at, deleted);
      expect(await watch.heard(1)).toEqual(["delete a"]);
      watch.abort();
    });
  });
}

function replayContract(subject: () => StoreSubject): void {
  test("a full reload equals the replay of a watch, over many revisions", async () => {
    const { store } = subject();
    const at = room();
    const before = await store.list(at);
    if (before.kind === "err") throw new Error(before.error.message);
    for (let block = 0; block < 60; block++) {
      // Fifty at a time in flight: enough revisions for several of etcd's batches of 1,000.
      await Promise.all(
        Array.from({ length: 50 }, (_, each) => {
          const key = `${at}${(block * 7 + each * 3) % 40}`;
          const gone = (block + each) % 5 === 0;
          return write(store, gone ? remove(key) : put(key, `${block}.${each}`));
        }),
      );
    }
    const last = await write(store, put(`${at}last`, "done"));
    const watch = new Recorder(store, at, before.value.revision + 1);
    const mirror = new Mirror();
    mirror.reset(before.value);
    await expect
      .poll(() =>
        watch.events.some((each) => each.kind === "put" && each.entry.modRevision === last),
      )
      .toBe(true);
    mirror.apply(watch.events);
    watch.abort();
    const after = await store.list(at);
    if (after.kind === "err") throw new Error(after.error.message);
    const shape = (entries: typeof after.value.entries) =>
      entries.map((each) => [each.key, textOf(each), each.createRevision, each.modRevision]);
    expect(shape(sortedEntries(mirror.entries))).toEqual(shape(after.value.entries));
  });
}
