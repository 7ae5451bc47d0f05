// The battery's part on listings.

import { describe, expect, test } from "vitest";
import { put, remove, room, type StoreSubject, textOf, write } from "./fixture.ts";

export function listContract(subject: () => StoreSubject): void {
  describe("a listing", () => {
    test("has the keys of its prefix and no others, sorted by bytes", async () => {
      const { store } = subject();
      const at = room();
      const keys = ["b", "a", "a/x", "a.x", "B", "~", "aa"].map((each) => `${at}p/${each}`);
      await write(store, ...keys.map((key) => put(key, "1")));
      await write(store, put(`${at}p`, "outside"), put(`${at}q`, "outside"));
      const listing = await store.list(`${at}p/`);
      if (listing.kind === "err") throw new Error(listing.error.message);
      expect(listing.value.entries.map((each) => each.key)).toEqual(keys.toSorted());
    });

    test("is at one revision, which is at least that of what was committed before", async () => {
      const { store } = subject();
      const at = room();
      const revision = await write(store, put(`${at}a`, "1"), put(`${at}b`, "1"));
      await write(store, remove(`${at}a`));
      const listing = await store.list(at);
      if (listing.kind === "err") throw new Error(listing.error.message);
      expect(listing.value.revision).toBeGreaterThan(revision);
      expect(listing.value.entries.map(textOf)).toEqual(["1"]);
    });

    test("of many large entries is whole", async () => {
      const { store } = subject();
      const at = room();
      for (let index = 0; index < 150; index += 5) {
        const batch = [0, 1, 2, 3, 4].map((each) => index + each);
        const large = (each: number) => put(`${at}${each}`, `${each}.`.padEnd(60_000, "x"));
        await write(store, ...batch.map(large));
      }
      const listing = await store.list(at);
      if (listing.kind === "err") throw new Error(listing.error.message);
      expect(listing.value.entries.length).toBe(150);
      expect(new Set(listing.value.entries.map((each) => each.value.length))).toEqual(
        new Set([60_000]),
      );
    });

    test("of a prefix without keys is empty", async () => {
      const { store } = subject();
      expect(await store.list(room())).toMatchObject({ kind: "ok", value: { entries: [] } });
    });

    test("is of one moment while others write two keys together", async () => {
      const { store } = subject();
      const at = room();
      let writing = true;
      const writer = (async () => {
        for (let round = 0; writing; round++) {
          await write(store, put(`${at}a`, `${round}`), put(`${at}z`, `${round}`));
        }
      })();
      for (let round = 0; round < 50; round++) {
        const listing = await store.list(at);
        if (listing.kind === "err") throw new Error(listing.error.message);
        expect(new Set(listing.value.entries.map(textOf)).size).toBeLessThanOrEqual(1);
      }
      writing = false;
      await writer;
    });
  });
}
