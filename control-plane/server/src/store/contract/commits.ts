// The battery's part on commits: compares, atomicity, revisions, and what is refused.

import { describe, expect, test } from "vitest";
import { storeLimits } from "../check-request.ts";
import type { Commit } from "../store.ts";
import { put, read, remove, room, type StoreSubject, textOf, write } from "./fixture.ts";

export function commitContract(subject: () => StoreSubject): void {
  describe("a commit", () => {
    test("writes at a revision above all before it, and keeps when a key was made", async () => {
      const { store } = subject();
      const key = `${room()}a`;
      const first = await write(store, put(key, "1"));
      const second = await write(store, put(key, "2"));
      expect(second).toBeGreaterThan(first);
      const entry = await read(store, key);
      expect(entry).toMatchObject({ key, createRevision: first, modRevision: second });
      expect(textOf(entry)).toBe("2");
    });

    test("whose compare does not hold is a conflict, and writes nothing", async () => {
      const { store } = subject();
      const at = room();
      const revision = await write(store, put(`${at}a`, "1"));
      const operations = [put(`${at}a`, "2"), put(`${at}b`, "2")];
      const stale = { key: `${at}a`, modRevision: revision - 1 };
      const absent = { key: `${at}a`, modRevision: 0 };
      for (const compare of [stale, absent]) {
        const done = await store.commit({ compare: [compare], operations });
        expect(done).toMatchObject({ kind: "err", error: { kind: "conflict" } });
      }
      expect(textOf(await read(store, `${at}a`))).toBe("1");
      expect(await read(store, `${at}b`)).toBeUndefined();
    });

    test("whose compares all hold is done; revision 0 means that the key is absent", async () => {
      const { store } = subject();
      const at = room();
      const first = await write(store, put(`${at}a`, "1"));
      const compare = [
        { key: `${at}a`, modRevision: first },
        { key: `${at}b`, modRevision: 0 },
      ];
      const done = await store.commit({ compare, operations: [put(`${at}b`, "1")] });
      expect(done.kind).toBe("ok");
      expect(textOf(await read(store, `${at}b`))).toBe("1");
    });

    test("of several operations happens at one revision", async () => {
      const { store } = subject();
      const at = room();
      await write(store, put(`${at}old`, "0"));
      const revision = await write(
        store,
        put(`${at}a`, "1"),
        remove(`${at}old`),
        put(`${at}b`, "2"),
      );
      expect((await read(store, `${at}a`))?.modRevision).toBe(revision);
      expect((await read(store, `${at}b`))?.modRevision).toBe(revision);
      expect(await read(store, `${at}old`)).toBeUndefined();
    });

    test("that deletes what is not there changes nothing, not even the revision", async () => {
      const { store } = subject();
      const at = room();
      const before = await write(store, put(`${at}a`, "1"));
      expect(await write(store, remove(`${at}none`))).toBe(before);
    });

    test("makes a key anew after its deletion", async () => {
      const { store } = subject();
      const key = `${room()}a`;
      await write(store, put(key, "1"));
      await write(store, remove(key));
      const again = await write(store, put(key, "2"));
      expect(await read(store, key)).toMatchObject({ createRevision: again, modRevision: again });
    });

    test("keeps values byte for byte, the empty one too", async () => {
      const { store } = subject();
      const at = room();
      const all = Uint8Array.from({ length: 256 }, (_, index) => index);
      await write(store, { kind: "put", key: `${at}all`, value: all });
      await write(store, { kind: "put", key: `${at}none`, value: new Uint8Array() });
      expect(Uint8Array.from((await read(store, `${at}all`))?.value ?? [])).toEqual(all);
      expect((await read(store, `${at}none`))?.value.length).toBe(0);
    });
  });

  appliersContract(subject);
}

function appliersContract(subject: () => StoreSubject): void {
  test("of concurrent appliers with one compare exactly one wins", async () => {
    const { store } = subject();
    const key = `${room()}head`;
    let held = 0;
    for (let round = 0; round < 5; round++) {
      const compare = [{ key, modRevision: held }];
      const attempts = Array.from({ length: 16 }, (_, index) =>
        store.commit({ compare, operations: [put(key, `${round}.${index}`)] }),
      );
      const done = await Promise.all(attempts);
      const winners = done.flatMap((each, index) => (each.kind === "ok" ? [index] : []));
      expect(winners.length).toBe(1);
      const losers = done.flatMap((each) => (each.kind === "err" ? [each.error.kind] : []));
      expect(new Set(losers)).toEqual(new Set(["conflict"]));
      const entry = await read(store, key);
      expect(textOf(entry)).toBe(`${round}.${winners[0]}`);
      held = entry?.modRevision ?? 0;
    }
  });
}

const { keyBytesMax, valueBytesMax, operationsMax } = storeLimits;
const many = (count: number, size: number) =>
  Array.from({ length: count }, (_, index) => put(`/t/refused/${index}`, "x".repeat(size)));

const refused: readonly (readonly [string, Commit])[] = [
  ["a key without a slash", { compare: [], operations: [put("a", "1")] }],
  ["an empty key", { compare: [], operations: [put("", "1")] }],
  ["a key that is only a slash", { compare: [], operations: [put("/", "1")] }],
  ["a blank in a key", { compare: [], operations: [put("/a b", "1")] }],
  ["a line break in a key", { compare: [], operations: [remove("/a\n")] }],
  ["a key beyond ASCII", { compare: [], operations: [put("/ä", "1")] }],
  ["a key that is too long", { compare: [], operations: [put(`/${"k".repeat(keyBytesMax)}`, "")] }],
  ["a bad key in a compare", { compare: [{ key: "a", modRevision: 0 }], operations: [] }],
  ["a compare at no revision", { compare: [{ key: "/a", modRevision: -1 }], operations: [] }],
  ["a compare at half a revision", { compare: [{ key: "/a", modRevision: 1.5 }], operations: [] }],
  ["a value that is too large", { compare: [], operations: many(1, valueBytesMax + 1) }],
  ["too many operations", { compare: [], operations: many(operationsMax + 1, 1) }],
  ["too many bytes together", { compare: [], operations: many(3, valueBytesMax / 2) }],
  ["one key twice", { compare: [], operations: [put("/t/a", "1"), remove("/t/a")] }],
];

export function refusalContract(subject: () => StoreSubject): void {
  test.each(refused)("%s is invalid", async (_name, commit) => {
    const { store } = subject();
    const done = await store.commit(commit);
    expect(done).toMatchObject({ kind: "err", error: { kind: "invalid" } });
  });

  test("what is invalid elsewhere: bad keys, prefixes, revisions and lifetimes", async () => {
    const { store } = subject();
    const invalid = { kind: "err", error: { kind: "invalid" } };
    expect(await store.get("a")).toMatchObject(invalid);
    expect(await store.list("a")).toMatchObject(invalid);
    expect(await store.compact(0)).toMatchObject(invalid);
    expect(await store.compact(2 ** 40)).toMatchObject(invalid);
    expect(await store.grantLease(2_999)).toMatchObject(invalid);
    expect(await store.grantLease(Number.NaN)).toMatchObject(invalid);
  });

  test("what is as large as it may be is taken", async () => {
    const { store } = subject();
    const at = room();
    const value = new Uint8Array(valueBytesMax).fill(7);
    await write(store, { kind: "put", key: `${at}large`, value });
    expect((await read(store, `${at}large`))?.value.length).toBe(valueBytesMax);
    const operations = Array.from({ length: operationsMax }, (_, index) =>
      put(`${at}${index}`, ""),
    );
    await write(store, ...operations);
    const longest = `${at}${"k".repeat(keyBytesMax - at.length)}`;
    await write(store, put(longest, ""));
    expect(await read(store, longest)).toBeDefined();
  });
}
