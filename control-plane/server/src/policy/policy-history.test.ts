import { create } from "@bufbuild/protobuf";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import { expect, test } from "vitest";
import { keys } from "../store/keys.ts";
import type { Entry } from "../store/store.ts";
import {
  historyLimits,
  newestVersion,
  prunableKeys,
  readHead,
  readPolicy,
  readVersion,
  versions,
} from "./policy-history.ts";
import { chunkBytes, encodeHead, encodeManifest, sha256, splitDocument } from "./policy-rows.ts";

const version = (sequence: number, epoch = 1) =>
  create(VersionSchema, { epoch: BigInt(epoch), sequence: BigInt(sequence) });

/** Rows of a store into which documents were put, in order. */
function rowsOf(...documents: readonly Uint8Array[]): Map<string, Entry> {
  const rows = new Map<string, Entry>();
  documents.forEach((document, index) => {
    const at = version(index + 1);
    const chunks = splitDocument(document);
    for (const each of chunks) put(rows, keys.policyChunk(each.sha256), each.bytes);
    const manifest = encodeManifest({
      version: at,
      chunks: chunks.map((each) => each.sha256),
      bytes: document.length,
      author: "operator/test",
      reason: `number ${index + 1}`,
      appliedMs: 1_000,
    });
    put(rows, keys.policyManifest(at), manifest);
    put(rows, keys.policyHead, encodeHead({ version: at, manifest: sha256(manifest) }));
  });
  return rows;
}

function put(rows: Map<string, Entry>, key: string, value: Uint8Array): void {
  const modRevision = rows.size + 2;
  rows.set(key, { key, value, createRevision: modRevision, modRevision });
}

function readInForce(rows: Map<string, Entry>) {
  const head = readHead(rows)?.head;
  if (head === undefined) throw new Error("no head");
  return head.kind === "ok" ? readPolicy(rows, head.value) : head;
}

const bytes = (size: number, fill: number) => new Uint8Array(size).fill(fill);
const text = (value: string) => new TextEncoder().encode(value);

test("a document of any size comes back as it was", () => {
  for (const size of [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 3 * chunkBytes + 5]) {
    const document = bytes(size, 7).map((_, index) => index % 251);
    const read = readInForce(rowsOf(document));
    expect(read.kind === "ok" && Buffer.compare(read.value.document, document)).toBe(0);
  }
});

test("equal chunks are kept once", () => {
  expect(splitDocument(bytes(chunkBytes * 3, 1)).map((each) => each.sha256)).toHaveLength(3);
  expect(rowsOf(bytes(chunkBytes * 3, 1)).size).toBe(1 + 1 + 1);
});

test.each<[string, (rows: Map<string, Entry>) => void, string]>([
  ["no JSON", (rows) => put(rows, keys.policyHead, text("{")), keys.policyHead],
  ["no object", (rows) => put(rows, keys.policyHead, text("[1]")), keys.policyHead],
  [
    "a version that is no number",
    (rows) => put(rows, keys.policyHead, text('{"epoch":"1","sequence":1,"manifest":""}')),
    keys.policyHead,
  ],
  [
    "a manifest that was changed",
    (rows) => put(rows, keys.policyManifest(version(1)), text("{}")),
    keys.policyManifest(version(1)),
  ],
  [
    "no manifest",
    (rows) => void rows.delete(keys.policyManifest(version(1))),
    keys.policyManifest(version(1)),
  ],
  [
    "no chunk",
    (rows) => void rows.delete(keys.policyChunk(sha256(text("abc")))),
    keys.policyChunk(sha256(text("abc"))),
  ],
  [
    "a chunk that was changed",
    (rows) => put(rows, keys.policyChunk(sha256(text("abc"))), text("abd")),
    keys.policyChunk(sha256(text("abc"))),
  ],
])("rows with %s are refused with their key", (_, spoil, key) => {
  const rows = rowsOf(text("abc"));
  spoil(rows);
  expect(readInForce(rows)).toMatchObject({ kind: "err", error: { code: "bad_row", path: key } });
});

test("a manifest under another version's key is refused", () => {
  const rows = rowsOf(text("abc"));
  const moved = rows.get(keys.policyManifest(version(1)));
  put(rows, keys.policyManifest(version(9)), moved?.value ?? text(""));
  expect(readVersion(rows, version(9))).toMatchObject({ kind: "err", error: { code: "bad_row" } });
});

test("the newest version counts every row, also where the head is bad", () => {
  const rows = rowsOf(text("a"), text("b"), text("c"));
  put(rows, keys.policyHead, text("broken"));
  expect(formatVersion(newestVersion(rows))).toBe("1.3");
  expect(newestVersion(new Map())).toBeUndefined();
  put(rows, keys.policyHead, encodeHead({ version: version(1, 2), manifest: sha256(text("")) }));
  expect(formatVersion(newestVersion(rows))).toBe("2.1");
});

test("versions are in order of epoch, then of sequence, not of text", () => {
  const documents = Array.from({ length: 12 }, (_, index) => text(String(index)));
  expect(versions(rowsOf(...documents)).map(formatVersion)).toEqual(
    documents.map((_, index) => `1.${index + 1}`),
  );
});

test("nothing is pruned within the limits", () => {
  const documents = Array.from({ length: historyLimits.versionsMax }, (_, index) =>
    text(String(index)),
  );
  expect(prunableKeys(rowsOf(...documents), [])).toEqual([]);
});

test("what is too old goes, a few at a time, but for chunks that something else lists", () => {
  const count = historyLimits.versionsMax + 5;
  const documents = Array.from({ length: count }, (_, index) => text(String(index)));
  // The second oldest document is in force again.
  documents[count - 1] = text("1");
  const rows = rowsOf(...documents);
  const pruned = prunableKeys(rows, [sha256(text("2"))]);
  expect(pruned).toEqual([
    keys.policyManifest(version(1)),
    keys.policyManifest(version(2)),
    keys.policyManifest(version(3)),
    keys.policyChunk(sha256(text("0"))),
  ]);
});

test("large documents make history shorter, but the newest always stays", () => {
  const large = bytes(historyLimits.bytesMax / 4, 0);
  const rows = rowsOf(...Array.from({ length: 6 }, (_, index) => large.map(() => index)));
  const manifests = prunableKeys(rows, []).filter((key) => key.includes("manifest"));
  expect(manifests).toEqual([keys.policyManifest(version(1)), keys.policyManifest(version(2))]);
  const huge = rowsOf(bytes(chunkBytes, 1));
  expect(prunableKeys(huge, [])).toEqual([]);
});
