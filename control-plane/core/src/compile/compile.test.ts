import { clone, create, toBinary } from "@bufbuild/protobuf";
import { checkSnapshot } from "@meridian/proto/check-snapshot";
import { PolicySchema, RouteSchema } from "@meridian/proto/gen/policy_pb";
import { SnapshotSchema, VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { samplePolicy } from "@meridian/proto/policy-sample";
import { makePush, readSnapshot } from "@meridian/proto/snapshot";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";

const version = create(VersionSchema, { epoch: 1n, sequence: 7n });

function viewOf(region: string) {
  const snapshot = compile(samplePolicy(), version).get(region);
  const view = snapshot === undefined ? undefined : readSnapshot(snapshot);
  return view?.kind === "ok" ? view.value : undefined;
}

test("every region of a policy gets a snapshot that passes the lint", () => {
  const compiled = compile(samplePolicy(), version);
  expect([...compiled.keys()]).toEqual(["us-east", "eu-west"]);
  for (const snapshot of compiled.values()) expect(checkSnapshot(snapshot)).toEqual([]);
});

test("a region's proxies are told of their own backends alone, and of everything else", () => {
  expect(viewOf("us-east")?.backends.map((each) => each.name)).toEqual(["us-a"]);
  expect(viewOf("eu-west")?.backends.map((each) => each.name)).toEqual(["eu-a", "eu-spare"]);
  for (const region of ["us-east", "eu-west"]) {
    expect(viewOf(region)?.regions).toHaveLength(2);
    expect(viewOf(region)?.models).toHaveLength(2);
    expect(viewOf(region)?.tenants.map((each) => each.residency)).toEqual([["eu-west"], []]);
  }
});

test("routes keep the order of the document, however many there are", () => {
  const policy = samplePolicy();
  const names = Array.from({ length: 120 }, (_, place) => `r${120 - place}`);
  policy.routes = names.map((name) => create(RouteSchema, { name }));
  const snapshot = compile(policy, version).get("us-east");
  const view = snapshot === undefined ? undefined : readSnapshot(snapshot);
  expect(view?.kind === "ok" && view.value.routes.map((each) => each.name)).toEqual(names);
});

test("a model's regions are those with a backend that may be sent requests", () => {
  const policy = samplePolicy();
  const [, euA] = policy.backends;
  if (euA !== undefined) euA.weight = 0;
  const snapshot = compile(policy, version).get("eu-west");
  const view = snapshot === undefined ? undefined : readSnapshot(snapshot);
  expect(view?.kind === "ok" && view.value.models.map((each) => each.regions)).toEqual([
    ["us-east"],
    ["us-east"],
  ]);
});

test("the same policy compiles to the same bytes; another version changes nothing but the version", () => {
  const bytes = (at: typeof version) =>
    [...compile(clone(PolicySchema, samplePolicy()), at).values()].map((each) =>
      toBinary(SnapshotSchema, each),
    );
  expect(bytes(version)).toEqual(bytes(version));
  const later = create(VersionSchema, { epoch: 1n, sequence: 8n });
  const hashes = (at: typeof version) =>
    [...compile(samplePolicy(), at).values()].map((each) => each.hash);
  expect(hashes(later)).toEqual(hashes(version));
});

test("a change to one backend is one resource to push, to its own region only", () => {
  const before = compile(samplePolicy(), version);
  const policy = samplePolicy();
  const [usA] = policy.backends;
  if (usA !== undefined) usA.weight = 7;
  const after = compile(policy, version);
  const pushed = [...after].map(([region, snapshot]) => {
    const push = makePush(before.get(region), snapshot);
    return [region, push.upserts.map((each) => each.name), push.removals];
  });
  expect(pushed).toEqual([
    ["us-east", ["backend/us-a"], []],
    ["eu-west", [], []],
  ]);
});
