import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type Problem, seededRandom } from "@meridian/proto/base";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type PolicyChecker, startPolicyChecker } from "./policy/policy-checker.ts";
import { encodeHead, encodeManifest, sha256, splitDocument } from "./policy/policy-rows.ts";
import type { Published } from "./published.ts";
import { Reconciler } from "./reconciler.ts";
import { openEmbeddedStore } from "./store/embedded-store.ts";
import { keys } from "./store/keys.ts";
import type { Operation, Store } from "./store/store.ts";

let folder: string;
let store: Store;
let checker: PolicyChecker;
const reconcilers: Reconciler[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meridian-reconciler-"));
  const opened = openEmbeddedStore({ folder });
  if (opened.kind === "err") throw new Error(opened.error.message);
  store = opened.value;
  checker = startPolicyChecker();
});
afterEach(async () => {
  for (const each of reconcilers.splice(0)) each.close();
  await checker.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start() {
  const published: Published[] = [];
  const refused: Problem[] = [];
  const reconciler = new Reconciler({
    store,
    checker,
    clock: { now: () => performance.now(), wall: () => Date.now() },
    random: seededRandom("reconciler"),
    onPublished: (each) => published.push(each),
    onRefused: (problems) => refused.push(...problems),
    onRuntime: () => undefined,
    onControl: () => undefined,
    onReachable: () => undefined,
  });
  reconcilers.push(reconciler);
  await reconciler.ready();
  const shown = () => published.map((each) => formatVersion(each.version));
  return { reconciler, published, refused, shown };
}

function policy(model: string) {
  return {
    regions: [{ name: "eu" }, { name: "us" }],
    backends: [{ name: "a", region: "eu", url: "http://127.0.0.1:9", serves: [{ model }] }],
    models: [{ name: model }],
  };
}

async function commit(operations: readonly Operation[]): Promise<void> {
  const done = await store.commit({ compare: [], operations });
  if (done.kind === "err") throw new Error(done.error.message);
}

/** Writes rows as they come, past every check. */
async function write(at: string, document: unknown, spoil: "none" | "chunk" = "none") {
  const [epoch = "0", sequence = "0"] = at.split(".");
  const version = create(VersionSchema, { epoch: BigInt(epoch), sequence: BigInt(sequence) });
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  const chunks = splitDocument(bytes);
  const manifest = encodeManifest({
    version,
    chunks: chunks.map((each) => each.sha256),
    bytes: bytes.length,
    author: "",
    reason: "",
    appliedMs: 0,
  });
  await commit([
    ...chunks.map(
      (each): Operation => ({
        kind: "put",
        key: keys.policyChunk(each.sha256),
        value: spoil === "chunk" ? new Uint8Array([1]) : each.bytes,
      }),
    ),
    { kind: "put", key: keys.policyManifest(version), value: manifest },
    {
      kind: "put",
      key: keys.policyHead,
      value: encodeHead({ version, manifest: sha256(manifest) }),
    },
  ]);
}

const putHead = (text: string) =>
  commit([{ kind: "put", key: keys.policyHead, value: new TextEncoder().encode(text) }]);

/** A worker thread reads each policy: on a busy machine that takes its time. */
const patient = { timeout: 15_000, interval: 20 };

test("what the store holds is published at the start, a snapshot for each region", async () => {
  await write("1.1", policy("m"));
  const { published } = await start();
  expect([...(published[0]?.snapshots.keys() ?? [])]).toEqual(["eu", "us"]);
  expect(published[0]?.policy.models[0]?.name).toBe("m");
});

test("of policies in quick succession the last is published, and none after a newer one", async () => {
  const { shown } = await start();
  for (let index = 1; index <= 5; index++) await write(`1.${index}`, policy(`m${index}`));
  await vi.waitFor(() => expect(shown().at(-1)).toBe("1.5"), patient);
  expect(shown()).toEqual(shown().toSorted());
});

test.each<[string, () => Promise<void>, string]>([
  ["a head that is no JSON", () => putHead("broken"), "bad_row"],
  ["a chunk that was changed", () => write("1.2", policy("x"), "chunk"), "bad_row"],
  ["a field that nobody knows", () => write("1.2", { ...policy("x"), zzz: 1 }), "unknown_field"],
  ["an empty policy", () => write("1.2", {}), "empty_document"],
  [
    "a name that leads nowhere",
    () => write("1.2", { ...policy("x"), models: [{ name: "y" }] }),
    "dangling_name",
  ],
  ["an older version", () => write("0.9", policy("x")), "version_backwards"],
])(
  "%s is refused, the last good policy serves on, and the next good one is taken",
  async (_, spoil, code) => {
    await write("1.1", policy("good"));
    const { reconciler, refused, shown } = await start();
    await spoil();
    await vi.waitFor(() => expect(refused.map((each) => each.code)).toContain(code), patient);
    for (const each of refused) expect(each.message).not.toBe("");
    expect(formatVersion(reconciler.published?.version)).toBe("1.1");
    await write("1.3", policy("better"));
    await vi.waitFor(() => expect(shown()).toEqual(["1.1", "1.3"]), patient);
  },
);

test("a head that is deleted takes nothing away", async () => {
  await write("1.1", policy("good"));
  const { reconciler, refused } = await start();
  await commit([{ kind: "delete", key: keys.policyHead }]);
  await write("1.2", policy("later"));
  await vi.waitFor(() => expect(formatVersion(reconciler.published?.version)).toBe("1.2"), patient);
  expect(refused).toEqual([]);
});

test("a start on a bad policy serves the newest former one that is good", async () => {
  await write("1.1", policy("old"));
  await write("1.2", policy("good"));
  await write("1.3", policy("spoilt"), "chunk");
  await write("1.4", { nonsense: true });
  const { refused, shown } = await start();
  expect(refused.map((each) => each.code)).toContain("unknown_field");
  expect(shown()).toEqual(["1.2"]);
});

test("a store restored with a higher epoch is followed", async () => {
  await write("1.9", policy("before"));
  const { shown } = await start();
  await write("2.1", policy("restored"));
  await vi.waitFor(() => expect(shown()).toEqual(["1.9", "2.1"]), patient);
});
