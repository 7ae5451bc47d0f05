import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { err, ok, seededRandom } from "@meridian/proto/base";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkedStore } from "../store/checked-store.ts";
import { openEmbeddedStore } from "../store/embedded-store.ts";
import { keys } from "../store/keys.ts";
import { openMirror, type StoreMirror } from "../store/mirror.ts";
import type { Commit, Revision, Store, StoreError } from "../store/store.ts";
import { historyLimits, versions } from "./policy-history.ts";
import { PolicyStore, type Put } from "./policy-store.ts";
import { RowWatch } from "./row-watch.ts";

const random = seededRandom("policy store");
const clock = { now: () => performance.now(), wall: () => 1_000 };
const lost: StoreError = { kind: "unavailable", message: "the answer was lost" };

let folder: string;
let store: Store;
const mirrors: StoreMirror[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meridian-policies-"));
  const opened = openEmbeddedStore({ folder });
  if (opened.kind === "err") throw new Error(opened.error.message);
  store = checkedStore(opened.value);
});
afterEach(async () => {
  for (const each of mirrors.splice(0)) each.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A control plane's way to the store; `through` stands between them. */
async function open(through: Partial<Store> = {}) {
  const rows = new RowWatch(() => mirror);
  const onChange = () => rows.changed();
  const mirror = openMirror({ store, prefix: keys.policyPrefix, random, onChange });
  mirrors.push(mirror);
  await mirror.ready;
  const policies = new PolicyStore({ store: { ...bound(store), ...through }, rows, clock, random });
  const put = (document: string, expected?: string, limitMs = 10_000) =>
    policies.put(
      {
        document: new TextEncoder().encode(document),
        author: "operator/test",
        reason: document.slice(0, 20),
        expected: expected === undefined ? undefined : parseVersion(expected),
      },
      performance.now() + limitMs,
    );
  return { put, mirror };
}

function bound(from: Store): Store {
  return {
    get: (key) => from.get(key),
    list: (prefix) => from.list(prefix),
    commit: (commit) => from.commit(commit),
    watch: (options) => from.watch(options),
    grantLease: (ttlMs) => from.grantLease(ttlMs),
    compact: (before) => from.compact(before),
    close: () => from.close(),
  };
}

function parseVersion(text: string) {
  const [epoch = "0", sequence = "0"] = text.split(".");
  return create(VersionSchema, { epoch: BigInt(epoch), sequence: BigInt(sequence) });
}

function shown(put: Put): string {
  return "version" in put ? `${put.kind} ${formatVersion(put.version)}` : put.kind;
}

test("versions follow each other, and what is the same already makes none", async () => {
  const { put } = await open();
  expect(shown(await put("a"))).toBe("stored 1.1");
  expect(shown(await put("b"))).toBe("stored 1.2");
  expect(shown(await put("b"))).toBe("unchanged 1.2");
  expect(shown(await put("a"))).toBe("stored 1.3");
});

test("puts of many control planes at once all get a version", async () => {
  const planes = await Promise.all([open(), open(), open()]);
  const puts = Array.from({ length: 30 }, (_, index) =>
    planes[index % 3]?.put(`document ${index}`),
  );
  const versions = (await Promise.all(puts)).map((each) => each !== undefined && shown(each));
  expect(new Set(versions).size).toBe(30);
  expect(versions.every((each) => String(each).startsWith("stored 1."))).toBe(true);
});

test("an expected version is held against the store, not against a copy that lags", async () => {
  const one = await open();
  const other = await open();
  await one.put("a");
  expect(shown(await other.put("b", "1.1"))).toBe("stored 1.2");
  expect(await one.put("c", "1.1")).toMatchObject({ kind: "conflict", inForce: { sequence: 2n } });
  expect(shown(await one.put("c", "1.2"))).toBe("stored 1.3");
});

test("a document is not unchanged because a copy that lags says so", async () => {
  const one = await open();
  await one.put("a");
  // Another control plane's policy comes into force while this one's copy stands still.
  const late: Partial<Store> = {
    get: async (key) => {
      if (!isMoved) {
        isMoved = true;
        await (await open()).put("b");
      }
      return store.get(key);
    },
  };
  let isMoved = false;
  const two = await open(late);
  expect(shown(await two.put("a"))).toBe("stored 1.3");
});

test("a commit whose answer was lost is found, and not made twice", async () => {
  let losses = 1;
  const commit = async (what: Commit) => {
    const done = await store.commit(what);
    return losses-- > 0 ? err<StoreError>(lost) : done;
  };
  const { put } = await open({ commit });
  expect(shown(await put("a"))).toBe("stored 1.1");
  expect(shown(await put("b"))).toBe("stored 1.2");
});

test("a commit that was lost before it happened is made again", async () => {
  let losses = 2;
  const commit = async (what: Commit) =>
    losses-- > 0 ? err<StoreError>(lost) : store.commit(what);
  const { put } = await open({ commit });
  expect(shown(await put("a"))).toBe("stored 1.1");
});

test("without a store a put is unavailable, soon", async () => {
  const gone = async () => err<StoreError>(lost);
  const { put, mirror } = await open({ commit: gone, get: gone });
  expect(await put("a")).toMatchObject({ kind: "unavailable" });
  expect(mirror.entries.size).toBe(0);
});

test("a put ends at its deadline, however often others are first", async () => {
  const conflict = async () => err<StoreError>({ kind: "conflict", message: "somebody else" });
  const { put } = await open({ commit: conflict });
  const at = performance.now();
  expect(await put("a", undefined, 200)).toMatchObject({ kind: "unavailable" });
  expect(performance.now() - at).toBeLessThan(3_000);
});

test("a large document is in the store before the head names it", async () => {
  const seen: string[][] = [];
  const commit = async (what: Commit) => {
    seen.push(what.operations.map((each) => each.key.split("/")[2] ?? ""));
    return store.commit(what);
  };
  const { put } = await open({ commit });
  const large = Array.from({ length: 300_000 }, (_, index) => index.toString(36)).join("");
  expect(shown(await put(large))).toBe("stored 1.1");
  expect(seen.slice(0, -1).every((each) => each.join() === "chunk")).toBe(true);
  expect(seen.at(-1)).toEqual(["manifest", "head"]);
  expect(seen.length).toBeGreaterThan(2);
});

test("a bad head does not keep a new policy from being put, and its version is not reused", async () => {
  const { put } = await open();
  await put("a");
  await put("b");
  const value = new TextEncoder().encode("broken");
  const operations = [{ kind: "put", key: keys.policyHead, value }] as const;
  expect(await store.commit({ compare: [], operations })).toMatchObject(ok<Revision>(4));
  expect(shown(await put("b"))).toBe("stored 1.3");
});

test("history stays within its limits, and what is in force stays whole", async () => {
  const { put, mirror } = await open();
  for (let index = 0; index < historyLimits.versionsMax + 20; index++)
    await put(`document ${index}`);
  const kept = versions(mirror.entries);
  expect(kept.length).toBeLessThanOrEqual(historyLimits.versionsMax + 1);
  const chunks = [...mirror.entries.keys()].filter((key) => key.includes("/chunk/"));
  expect(chunks.length).toBe(kept.length);
});
