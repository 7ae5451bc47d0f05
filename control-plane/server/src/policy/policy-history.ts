// Every policy that the store keeps, read from a copy of its rows: the one in force, former ones, and which are old
// enough to go. Bounded: history is a convenience, not an archive.

import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import { compareVersions, formatVersion } from "@meridian/proto/snapshot";
import { keys } from "../store/keys.ts";
import type { Entry, Revision } from "../store/store.ts";
import {
  badRow,
  type Head,
  joinDocument,
  type Manifest,
  parseHead,
  parseManifest,
  sha256,
  versionOfKey,
} from "./policy-rows.ts";

export type Rows = ReadonlyMap<string, Entry>;

/** A policy out of the store, with every hash checked. */
export type StoredPolicy = { readonly manifest: Manifest; readonly document: Uint8Array };

/** The head's row: what to compare with when it is replaced, and what it says, if it can be read. */
export type HeadRow = { readonly modRevision: Revision; readonly head: Result<Head, Problem> };

/** How much history is kept beside the policy in force. */
export const historyLimits = {
  versionsMax: 100,
  bytesMax: 64 * 1024 * 1024,
  prunedAtOnce: 3,
} as const;

/** undefined: nothing was ever applied. */
export function readHead(rows: Rows): HeadRow | undefined {
  const entry = rows.get(keys.policyHead);
  if (entry === undefined) return undefined;
  return { modRevision: entry.modRevision, head: parseHead(entry.value) };
}

/** The policy that a head names. */
export function readPolicy(rows: Rows, head: Head): Result<StoredPolicy, Problem> {
  const key = keys.policyManifest(head.version);
  const entry = rows.get(key);
  if (entry === undefined) return err(badRow(key, "the manifest is missing"));
  if (sha256(entry.value) !== head.manifest) {
    return err(badRow(key, "its bytes do not have the hash that the head states"));
  }
  return readManifest(rows, key, entry);
}

/** A former policy, or the one in force, by its version. */
export function readVersion(rows: Rows, version: Version): Result<StoredPolicy, Problem> {
  const key = keys.policyManifest(version);
  const entry = rows.get(key);
  if (entry !== undefined) return readManifest(rows, key, entry);
  const kept = versions(rows).map(formatVersion);
  const hint = kept.length === 0 ? "none was applied yet" : `kept are ${kept[0]} to ${kept.at(-1)}`;
  return err(problem("not_found", "version", `no policy ${formatVersion(version)} is kept`, hint));
}

/** Versions that have a manifest, oldest first. */
export function versions(rows: Rows): readonly Version[] {
  const found: Version[] = [];
  for (const key of rows.keys()) {
    const version = versionOfKey(key);
    if (version !== undefined) found.push(version);
  }
  return found.sort(compareVersions);
}

/** The newest version that any row names, be its content good or bad; undefined: there is none. */
export function newestVersion(rows: Rows): Version | undefined {
  const newest = versions(rows).at(-1);
  const head = readHead(rows)?.head;
  if (head?.kind !== "ok") return newest;
  const { version } = head.value;
  return newest === undefined || compareVersions(version, newest) > 0 ? version : newest;
}

/**
 * Keys of manifests that are too old to keep, and of chunks that nothing else lists; a few at a time. The rows must be
 * those of the revision that the caller compares with: a manifest that they lack could still need a chunk.
 */
export function prunableKeys(rows: Rows, newChunks: readonly string[]): readonly string[] {
  const manifests = versions(rows).flatMap((version) => {
    const key = keys.policyManifest(version);
    const entry = rows.get(key);
    const parsed = entry === undefined ? undefined : parseManifest(key, entry.value);
    return parsed?.kind === "ok" ? [{ key, manifest: parsed.value }] : [];
  });
  const old = tooOld(manifests.map((each) => each.manifest.bytes));
  const gone = manifests.slice(0, Math.min(old, historyLimits.prunedAtOnce));
  const needed = new Set(newChunks);
  for (const { manifest } of manifests.slice(gone.length)) {
    for (const hash of manifest.chunks) needed.add(hash);
  }
  const chunks = gone.flatMap((each) => each.manifest.chunks).filter((hash) => !needed.has(hash));
  return [...gone.map((each) => each.key), ...[...new Set(chunks)].map(keys.policyChunk)];
}

/** How many of the oldest are beyond the limits. Sizes are given oldest first; the newest is never counted. */
function tooOld(sizes: readonly number[]): number {
  let bytes = 0;
  let kept = 0;
  for (const size of sizes.toReversed()) {
    bytes += size;
    if (kept > 0 && (kept >= historyLimits.versionsMax || bytes > historyLimits.bytesMax)) break;
    kept += 1;
  }
  return sizes.length - kept;
}

function readManifest(rows: Rows, key: string, entry: Entry): Result<StoredPolicy, Problem> {
  const manifest = parseManifest(key, entry.value);
  if (manifest.kind === "err") return manifest;
  const document = joinDocument(manifest.value, rows);
  if (document.kind === "err") return document;
  return ok({ manifest: manifest.value, document: document.value });
}
