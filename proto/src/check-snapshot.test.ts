import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkSnapshot } from "./check-snapshot.ts";
import {
  BackendResourceSchema,
  ModelResourceSchema,
  RegionResourceSchema,
  type Resource,
  ResourceSchema,
  RouteResourceSchema,
  type Snapshot,
  TenantResourceSchema,
  VersionSchema,
} from "./gen/meridian/v1/snapshot_pb.ts";
import { samplePolicy } from "./policy/sample-policy.ts";
import {
  makeResource,
  makeSnapshot,
  readSnapshot,
  resourceName,
  routeDefaults,
} from "./snapshot/index.ts";

const version = create(VersionSchema, { epoch: 1n, sequence: 1n });
const policy = samplePolicy();

const resources: readonly Resource[] = [
  ...policy.regions.map((region) =>
    makeResource(
      resourceName("region", region.name),
      toBinary(RegionResourceSchema, create(RegionResourceSchema, { region })),
    ),
  ),
  ...policy.backends
    .filter((each) => each.region === "eu-west")
    .map((backend) =>
      makeResource(
        resourceName("backend", backend.name),
        toBinary(BackendResourceSchema, create(BackendResourceSchema, { backend })),
      ),
    ),
  ...policy.models.map((model) =>
    makeResource(
      resourceName("model", model.name),
      toBinary(ModelResourceSchema, create(ModelResourceSchema, { model, regions: ["eu-west"] })),
    ),
  ),
  ...policy.routes.map((route, place) =>
    makeResource(
      resourceName("route", route.name, place),
      toBinary(RouteResourceSchema, create(RouteResourceSchema, { route })),
    ),
  ),
  ...policy.tenants.map((tenant) =>
    makeResource(
      resourceName("tenant", tenant.name),
      toBinary(TenantResourceSchema, create(TenantResourceSchema, { tenant })),
    ),
  ),
];
const snapshot = makeSnapshot(version, "eu-west", resources);
const without = (name: string) =>
  makeSnapshot(
    version,
    "eu-west",
    resources.filter((each) => each.name !== name),
  );
const withMore = (...more: readonly Resource[]) =>
  makeSnapshot(version, "eu-west", [...resources, ...more]);

function codesOf(of: Snapshot): readonly string[] {
  return [...new Set(checkSnapshot(of).map((each) => each.code))];
}

test("a sound snapshot has nothing to be said against it", () => {
  expect(checkSnapshot(snapshot)).toEqual([]);
});

test("a snapshot is read as plain values, in order, with defaults filled in", () => {
  const view = readSnapshot(snapshot);
  expect(view).toMatchObject({
    kind: "ok",
    value: {
      region: "eu-west",
      hash: snapshot.hash,
      regions: [
        {
          name: "eu-west",
          peers: [
            { host: "proxy-1.eu.internal", port: 8_443 },
            { host: "2001:db8::2", port: 8_443 },
          ],
        },
        { name: "us-east", location: { lat: 39, lon: -77.5 } },
      ],
      backends: [
        {
          name: "eu-a",
          url: "https://10.0.0.7:8000",
          protocol: "openai",
          weight: 1,
          concurrencyMax: undefined,
        },
        { name: "eu-spare", weight: 0, serves: [{ model: "llama-8b", as: "llama-8b" }] },
      ],
      models: [
        { name: "llama-70b", contextTokens: 131_072 },
        { name: "llama-8b", contextTokens: undefined },
      ],
      routes: [
        {
          name: "acme",
          balance: "cache-aware",
          targets: [{ weight: 95 }, { weight: 1 }],
          match: {
            headers: [{ name: "x-team", pattern: "blue-*" }],
            protocols: ["openai"],
            paths: ["/v1/*"],
          },
          shadow: undefined,
          affinityHeader: "x-session",
        },
        {
          name: "all",
          match: { models: [], tenants: [], headers: [] },
          targets: [],
          shadow: { model: "llama-8b", percent: 5, concurrencyMax: 4 },
          affinityHeader: undefined,
          ...routeDefaults,
        },
      ],
      tenants: [
        { name: "acme", requestsPerMinute: 6_000 },
        { name: "bolt", tokensPerMinute: undefined },
      ],
    },
  });
});

test.each<[string, Snapshot, readonly string[]]>([
  ["no version", (({ version: _, ...rest }) => rest)(snapshot), ["version_missing"]],
  ["another hash", { ...snapshot, hash: "0".repeat(64) }, ["hash_mismatch"]],
  [
    "a body that has changed",
    {
      ...snapshot,
      resources: snapshot.resources.map((each) => ({ ...each, body: new Uint8Array([255]) })),
    },
    ["hash_mismatch", "unreadable"],
  ],
  [
    "resources out of order",
    { ...snapshot, resources: snapshot.resources.toReversed() },
    ["out_of_order", "hash_mismatch"],
  ],
  ["a resource twice", withMore(...resources.slice(0, 1)), ["out_of_order"]],
  ["a missing route number", without("route/0000/acme"), ["out_of_order"]],
  [
    "a kind that is not known",
    withMore(makeResource("quota/x", new Uint8Array())),
    ["unknown_kind"],
  ],
  ["an empty body", withMore(makeResource("tenant/x", new Uint8Array())), ["unreadable"]],
  [
    "a body of another name",
    withMore(makeResource("tenant/x", resources.at(-1)?.body ?? new Uint8Array())),
    ["name_mismatch"],
  ],
  [
    "too large a body",
    withMore(makeResource("tenant/x", new Uint8Array(65_537))),
    ["too_large", "unreadable"],
  ],
  ["a model that is missing", without("model/llama-8b"), ["dangling_name"]],
  ["a region that is missing", without("region/eu-west"), ["dangling_name"]],
  ["a tenant that is missing", without("tenant/acme"), ["dangling_name"]],
  ["nothing at all", makeSnapshot(version, "eu-west", []), ["empty_snapshot", "dangling_name"]],
  ["another region's backend", { ...snapshot, region: "us-east" }, ["region_mismatch"]],
  [
    "more resources than any policy has",
    {
      ...snapshot,
      resources: new Array(25_000).fill(create(ResourceSchema, { name: "x" })),
    },
    ["too_large"],
  ],
])("%s is refused", (_, of, expected) => {
  expect(codesOf(of)).toEqual(expected);
});

test("whatever bytes stand in a resource, reading tells instead of throwing", () => {
  const names = fc.oneof(
    fc.constantFrom(...snapshot.resources.map((each) => each.name), "route/1", "model/"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(names, fc.uint8Array({ maxLength: 40 }))), (list) => {
      const built = list.map(([name, body]) => makeResource(name, body));
      expect(Array.isArray(checkSnapshot(makeSnapshot(version, "eu-west", built)))).toBe(true);
    }),
  );
});

test("a bit that flips anywhere in a resource is noticed", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(7), (which, where, bit) => {
      const at = which % snapshot.resources.length;
      const changed = snapshot.resources.map((each, place) => {
        if (place !== at) return each;
        const body = Uint8Array.from(each.body);
        const index = where % body.length;
        body[index] = (body[index] ?? 0) ^ (1 << bit);
        return { ...each, body };
      });
      return checkSnapshot({ ...snapshot, resources: changed }).some(
        (each) => each.code === "hash_mismatch",
      );
    }),
  );
});
