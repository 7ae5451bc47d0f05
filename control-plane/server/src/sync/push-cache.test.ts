import { create, fromBinary } from "@bufbuild/protobuf";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { PolicyPushSchema } from "@meridian/proto/gen/sync_pb";
import { applyPush, makeResource, makeSnapshot } from "@meridian/proto/snapshot";
import { expect, test } from "vitest";
import { createRegionSnapshots } from "./push-cache.ts";

/** A snapshot whose one changing resource holds a number. */
function snapshot(sequence: number, value = sequence) {
  const version = create(VersionSchema, { epoch: 1n, sequence: BigInt(sequence) });
  return makeSnapshot(version, "eu", [
    makeResource("model/fixed", new Uint8Array([1])),
    makeResource("model/changing", new Uint8Array([2, value])),
  ]);
}

test("the same push is the same bytes: encoded once, whoever asks", () => {
  const snapshots = createRegionSnapshots();
  const first = snapshot(1);
  snapshots.publish(first);
  snapshots.publish(snapshot(2));
  expect(snapshots.push("")).toBe(snapshots.push(""));
  expect(snapshots.push(first.hash)).toBe(snapshots.push(first.hash));
});

test("a delta from any snapshot that is held leads to the newest", () => {
  const snapshots = createRegionSnapshots();
  const all = Array.from({ length: 20 }, (_, index) => snapshot(index + 1));
  for (const each of all) snapshots.publish(each);
  const held = all.filter((each) => snapshots.holds(each.hash));
  expect(held).toEqual(all.slice(4));
  for (const from of held.slice(0, -1)) {
    const push = fromBinary(PolicyPushSchema, snapshots.push(from.hash));
    expect(push.upserts.map((each) => each.name)).toEqual(["model/changing"]);
    const applied = applyPush(from, push);
    expect(applied.kind === "ok" && applied.value.hash).toBe(all.at(-1)?.hash);
  }
});

test("a content that comes back under a new version is pushed as that version", () => {
  const snapshots = createRegionSnapshots();
  const first = snapshot(1, 7);
  for (const each of [first, snapshot(2, 8), snapshot(3, 7)]) snapshots.publish(each);
  expect(snapshots.newest()).toMatchObject({ hash: first.hash, version: { sequence: 3n } });
  const push = fromBinary(PolicyPushSchema, snapshots.push(snapshot(2, 8).hash));
  expect(push).toMatchObject({ hash: first.hash, version: { sequence: 3n } });
  const same = fromBinary(PolicyPushSchema, snapshots.push(first.hash));
  expect(same).toMatchObject({ upserts: [], removals: [], version: { sequence: 3n } });
});

test("the whole starts from nothing and holds every resource", () => {
  const snapshots = createRegionSnapshots();
  snapshots.publish(snapshot(1));
  snapshots.publish(snapshot(2));
  const whole = fromBinary(PolicyPushSchema, snapshots.push(""));
  expect(whole.upserts).toHaveLength(2);
  expect(whole.fromHash).toBe("");
});
