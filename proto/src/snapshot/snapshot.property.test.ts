// Deltas: whatever leads from one snapshot to another leads there, and nothing that was tampered with leads anywhere.

import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Snapshot, SnapshotSchema, VersionSchema } from "../gen/meridian/v1/snapshot_pb.ts";
import { type PolicyPush, PolicyPushSchema } from "../gen/meridian/v1/sync_pb.ts";
import { applyPush, compareVersions, makePush, makeResource, makeSnapshot } from "./snapshot.ts";

const version = (epoch: number, sequence: number) =>
  create(VersionSchema, { epoch: BigInt(epoch), sequence: BigInt(sequence) });

/** Few names and bodies, so that two snapshots share some and differ in others. */
const contents = fc.dictionary(
  fc.constantFrom("backend/a", "backend/b", "model/m", "region/eu", "route/0000/all", "tenant/é"),
  fc.uint8Array({ maxLength: 2 }),
);
const snapshotAt = (sequence: number) =>
  contents.map((bodies) =>
    makeSnapshot(
      version(1, sequence),
      "eu",
      Object.entries(bodies).map(([name, body]) => makeResource(name, body)),
    ),
  );

test("a push leads from the one to the other, over the wire, from something or from nothing", () => {
  fc.assert(
    fc.property(fc.option(snapshotAt(1), { nil: undefined }), snapshotAt(2), (from, to) => {
      const bytes = toBinary(PolicyPushSchema, makePush(from, to));
      const applied = applyPush(from, fromBinary(PolicyPushSchema, bytes));
      expect(applied).toEqual({ kind: "ok", value: to });
    }),
  );
});

test("a whole snapshot can be applied over whatever is held", () => {
  fc.assert(
    fc.property(snapshotAt(1), snapshotAt(2), (held, to) => {
      expect(applyPush(held, makePush(undefined, to))).toEqual({ kind: "ok", value: to });
    }),
  );
});

test("a push carries no resource that is held already", () => {
  fc.assert(
    fc.property(snapshotAt(1), snapshotAt(2), (from, to) => {
      const held = new Set(from.resources.map((each) => `${each.name} ${each.hash}`));
      return makePush(from, to).upserts.every((each) => !held.has(`${each.name} ${each.hash}`));
    }),
  );
});

test("equal content has an equal hash, in whatever order it was given", () => {
  fc.assert(
    fc.property(snapshotAt(1), (snapshot) => {
      const again = makeSnapshot(version(9, 9), "eu", snapshot.resources.toReversed());
      return again.hash === snapshot.hash;
    }),
  );
});

/** What a tampered push has instead. */
type Corruption = (push: PolicyPush) => Partial<PolicyPush>;

const other = new Uint8Array([1, 2, 3]);
const flip = (text: string) => (text.startsWith("0") ? "1" : "0") + text.slice(1);

test.each<[string, Corruption]>([
  ["another hash of the whole", ({ hash }) => ({ hash: flip(hash) })],
  ["no hash of the whole", () => ({ hash: "" })],
  ["another start", ({ fromHash }) => ({ fromHash: flip(fromHash) })],
  ["another region", () => ({ region: "us" })],
  ["a lost resource", ({ upserts }) => ({ upserts: upserts.slice(1) })],
  ["one resource more", ({ upserts }) => ({ upserts: [...upserts, makeResource("x", other)] })],
  ["a resource removed", ({ upserts }) => ({ removals: upserts.map((each) => each.name) })],
  [
    "another body under the old hash",
    ({ upserts }) => ({ upserts: upserts.map((each) => ({ ...each, body: other })) }),
  ],
  [
    "another body under its own hash",
    ({ upserts }) => ({ upserts: upserts.map((each) => makeResource(each.name, other)) }),
  ],
  [
    "another name",
    ({ upserts }) => ({ upserts: upserts.map((each) => ({ ...each, name: `${each.name}x` })) }),
  ],
])("%s is refused, and what is held stays as it is", (_, corrupt) => {
  fc.assert(
    fc.property(snapshotAt(1), snapshotAt(2), (from, to) => {
      const push = makePush(from, to);
      fc.pre(push.upserts.length > 0);
      const before = clone(SnapshotSchema, from);
      expect(applyPush(from, { ...push, ...corrupt(push) }).kind).toBe("err");
      expect(from).toEqual(before);
    }),
  );
});

test("a push without a version is refused", () => {
  fc.assert(
    fc.property(snapshotAt(1), (to) => {
      const { version: _, ...push } = makePush(undefined, to);
      return applyPush(undefined, push).kind === "err";
    }),
  );
});

test("no push ever leads to an older version", () => {
  const versions = fc
    .tuple(fc.nat(3), fc.nat(3))
    .map(([epoch, sequence]) => version(epoch, sequence));
  fc.assert(
    fc.property(versions, versions, fc.boolean(), (held, next, whole) => {
      const at = (each: ReturnType<typeof version>): Snapshot =>
        makeSnapshot(each, "eu", [makeResource(`model/${each.sequence}`, new Uint8Array())]);
      const applied = applyPush(at(held), makePush(whole ? undefined : at(held), at(next)));
      return applied.kind === (compareVersions(next, held) < 0 ? "err" : "ok");
    }),
  );
});

test("versions are ordered by epoch, then by sequence", () => {
  const sorted = [version(0, 9), version(1, 0), version(1, 10), version(2, 1)];
  expect(sorted.toReversed().sort(compareVersions)).toEqual(sorted);
});
