// Snapshots: resources sorted by name, hashed one by one and as a whole, and the delta between two of them.

import { create } from "@bufbuild/protobuf";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { err, ok, type Problem, problem, type Result } from "../base/index.ts";
import {
  type Resource,
  ResourceSchema,
  type Snapshot,
  SnapshotSchema,
  type Version,
} from "../gen/meridian/v1/snapshot_pb.ts";
import { type PolicyPush, PolicyPushSchema } from "../gen/meridian/v1/sync_pb.ts";

/** Lower-case hexadecimal SHA-256. */
export function hashBytes(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}

export function makeResource(name: string, body: Uint8Array): Resource {
  return create(ResourceSchema, { name, hash: hashBytes(body), body });
}

/** Sorts resources and hashes the whole. Names must be unique. */
export function makeSnapshot(
  version: Version,
  region: string,
  resources: readonly Resource[],
): Snapshot {
  const sorted = [...resources].sort((a, b) => compareText(a.name, b.name));
  return create(SnapshotSchema, {
    version,
    region,
    hash: hashResources(sorted),
    resources: sorted,
  });
}

/** The hash over names and hashes of resources that are sorted by name. */
export function hashResources(sorted: readonly Resource[]): string {
  return hashBytes(utf8ToBytes(sorted.map((each) => `${each.name}\n${each.hash}\n`).join("")));
}

/** By epoch, then by sequence: negative when a is older. */
export function compareVersions(a: Version, b: Version): number {
  if (a.epoch !== b.epoch) return a.epoch < b.epoch ? -1 : 1;
  if (a.sequence !== b.sequence) return a.sequence < b.sequence ? -1 : 1;
  return 0;
}

/** `1.42`, as people and headers see it. */
export function formatVersion(version: Version | undefined): string {
  return version === undefined ? "none" : `${version.epoch}.${version.sequence}`;
}

/** What leads from one snapshot to another; without a start, the whole. */
export function makePush(from: Snapshot | undefined, to: Snapshot): PolicyPush {
  const held = new Map((from?.resources ?? []).map((each) => [each.name, each.hash]));
  const upserts = to.resources.filter((each) => held.get(each.name) !== each.hash);
  for (const each of to.resources) held.delete(each.name);
  return create(PolicyPushSchema, {
    ...(to.version === undefined ? {} : { version: to.version }),
    fromHash: from?.hash ?? "",
    hash: to.hash,
    region: to.region,
    upserts,
    removals: [...held.keys()].sort(compareText),
  });
}

/**
 * The snapshot that a push leads to, as a whole or not at all. Refuses what starts elsewhere, goes backwards,
 * is for another region, or has hashes that don't fit.
 */
export function applyPush(
  held: Snapshot | undefined,
  push: PolicyPush,
): Result<Snapshot, readonly Problem[]> {
  const version = push.version;
  if (version === undefined)
    return err([problem("version_missing", "version", "the push has none")]);
  const refusal = refusePush(held, push, version);
  if (refusal !== undefined) return err([refusal]);
  const resources = new Map<string, Resource>();
  if (push.fromHash !== "")
    for (const each of held?.resources ?? []) resources.set(each.name, each);
  for (const each of push.upserts) resources.set(each.name, each);
  for (const name of push.removals) resources.delete(name);
  const snapshot = makeSnapshot(version, push.region, [...resources.values()]);
  const problems = checkHashes(push, snapshot);
  return problems.length > 0 ? err(problems) : ok(snapshot);
}

function refusePush(
  held: Snapshot | undefined,
  push: PolicyPush,
  version: Version,
): Problem | undefined {
  if (held?.version !== undefined && compareVersions(version, held.version) < 0) {
    const message = `${formatVersion(version)} is older than ${formatVersion(held.version)}`;
    return problem("version_backwards", "version", message);
  }
  if (held !== undefined && held.region !== push.region) {
    return problem("region_mismatch", "region", `${push.region} is not ${held.region}`);
  }
  if (push.fromHash !== "" && push.fromHash !== held?.hash) {
    return problem("delta_mismatch", "fromHash", "the delta starts from a snapshot not held");
  }
  return undefined;
}

function checkHashes(push: PolicyPush, snapshot: Snapshot): Problem[] {
  const problems = push.upserts
    .filter((each) => hashBytes(each.body) !== each.hash)
    .map((each) => problem("hash_mismatch", each.name, "its body does not have its hash"));
  if (snapshot.hash !== push.hash) {
    problems.push(problem("hash_mismatch", "hash", "the whole does not have the hash stated"));
  }
  return problems;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
