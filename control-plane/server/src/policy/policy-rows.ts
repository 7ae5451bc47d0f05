// How a policy stands in the store: its canonical JSON in chunks named by their hashes, a manifest that lists them, and
// a head that names the manifest. What is read is believed only when every hash fits.

import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import { type Version, VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import { keys } from "../store/keys.ts";
import type { Entry } from "../store/store.ts";

/** The policy in force, as the store names it. */
export type Head = { readonly version: Version; readonly manifest: string };

/** One applied policy, without its document. */
export type Manifest = {
  readonly version: Version;
  /** SHA-256 of each chunk, in order. */
  readonly chunks: readonly string[];
  readonly bytes: number;
  readonly author: string;
  readonly reason: string;
  readonly appliedMs: number;
};

export type Chunk = { readonly sha256: string; readonly bytes: Uint8Array };

/** etcd takes 1.5 MiB in a request; chunks stay far below it. */
export const chunkBytes = 256 * 1024;

/** More than any document that validation lets through; a row that claims more is a bad row. */
const documentBytesMax = 16 * 1024 * 1024;

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function splitDocument(document: Uint8Array): readonly Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 0; at < document.length; at += chunkBytes) {
    const bytes = document.subarray(at, at + chunkBytes);
    chunks.push({ sha256: sha256(bytes), bytes });
  }
  return chunks;
}

export function encodeHead({ version, manifest }: Head): Uint8Array {
  return encodeJson({ ...numbersOf(version), manifest });
}

export function encodeManifest({ version, ...rest }: Manifest): Uint8Array {
  return encodeJson({ ...numbersOf(version), ...rest });
}

export function parseHead(bytes: Uint8Array): Result<Head, Problem> {
  const row = parseRow(keys.policyHead, bytes);
  if (row.kind === "err") return row;
  const version = versionOf(row.value);
  const { manifest } = row.value;
  if (version === undefined || !isHash(manifest)) {
    return err(badRow(keys.policyHead, "it does not name a version and a manifest"));
  }
  return ok({ version, manifest });
}

/** `key` is where the row stood: a manifest that states another version is a bad row. */
export function parseManifest(key: string, bytes: Uint8Array): Result<Manifest, Problem> {
  const row = parseRow(key, bytes);
  if (row.kind === "err") return row;
  const version = versionOf(row.value);
  const { chunks, bytes: size, author, reason, appliedMs } = row.value;
  const isWhole =
    version !== undefined &&
    Array.isArray(chunks) &&
    chunks.every(isHash) &&
    isCount(size) &&
    isCount(appliedMs);
  if (!isWhole) return err(badRow(key, "it lacks a version, chunks, a size or a time"));
  if (keys.policyManifest(version) !== key) {
    return err(badRow(key, `it is the manifest of ${formatVersion(version)}`));
  }
  if (size > documentBytesMax) return err(badRow(key, `it claims ${size} bytes`));
  const texts = { author: textOf(author), reason: textOf(reason) };
  return ok({ version, chunks, bytes: size, ...texts, appliedMs });
}

/** The document that a manifest lists, out of the rows at hand. */
export function joinDocument(
  manifest: Manifest,
  rows: ReadonlyMap<string, Entry>,
): Result<Uint8Array, Problem> {
  const parts: Uint8Array[] = [];
  for (const hash of manifest.chunks) {
    const key = keys.policyChunk(hash);
    const found = rows.get(key);
    if (found === undefined) return err(badRow(key, "the chunk is missing"));
    if (sha256(found.value) !== hash) return err(badRow(key, "its bytes do not have its hash"));
    parts.push(found.value);
  }
  const document = Buffer.concat(parts);
  if (document.length === manifest.bytes) return ok(document);
  const key = keys.policyManifest(manifest.version);
  return err(badRow(key, `it claims ${manifest.bytes} bytes, its chunks have ${document.length}`));
}

/** The version that the key of a manifest names; undefined: it is none. */
export function versionOfKey(key: string): Version | undefined {
  const found = /^\/pol\/manifest\/(\d{1,19})\.(\d{1,19})$/.exec(key);
  if (found?.[1] === undefined || found[2] === undefined) return undefined;
  return create(VersionSchema, { epoch: BigInt(found[1]), sequence: BigInt(found[2]) });
}

export function badRow(key: string, message: string): Problem {
  return problem("bad_row", key, message, "the last good policy stays in force; apply one anew");
}

type Row = { readonly [name: string]: unknown };

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function parseRow(key: string, bytes: Uint8Array): Result<Row, Problem> {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isRow(value) ? ok(value) : err(badRow(key, "it is not a JSON object"));
  } catch {
    // Whatever stands there, it is not ours.
    return err(badRow(key, "it is not JSON"));
  }
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function versionOf({ epoch, sequence }: Row): Version | undefined {
  if (!isCount(epoch) || !isCount(sequence)) return undefined;
  return create(VersionSchema, { epoch: BigInt(epoch), sequence: BigInt(sequence) });
}

function numbersOf({ epoch, sequence }: Version): { epoch: number; sequence: number } {
  return { epoch: Number(epoch), sequence: Number(sequence) };
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
