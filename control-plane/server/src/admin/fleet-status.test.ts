import { create } from "@bufbuild/protobuf";
import {
  ModelStatusSchema,
  PoolStatusSchema,
  StatusResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import { expect, test } from "vitest";
import { mergeStatus } from "./fleet-status.ts";

const row = (id: string) => ({ id, region: id, address: "127.0.0.1:1", build: "1" });

const own = create(StatusResponseSchema, {
  policy: { epoch: 1n, sequence: 2n },
  controlPlanes: [{ id: "eu", region: "eu", state: "serving" }],
  regions: [
    { name: "eu", backends: 1, available: 1 },
    { name: "us", backends: 1, available: 0 },
  ],
  proxies: [
    { id: "p1", region: "eu", seenMs: 500, controlPlane: "eu" },
    { id: "p2", region: "us", seenMs: 9_000, controlPlane: "eu" },
  ],
  backends: [
    { name: "eu-a", region: "eu", state: "available" },
    { name: "us-a", region: "us", state: "unknown" },
  ],
});

const other = create(StatusResponseSchema, {
  controlPlanes: [{ id: "us", region: "us", state: "stale" }],
  proxies: [{ id: "p2", region: "us", seenMs: 100, controlPlane: "us" }],
  backends: [
    { name: "eu-a", region: "eu", state: "unknown" },
    { name: "us-a", region: "us", state: "available", inFlight: 3 },
  ],
});

test("each control plane's own view is taken, and the newest word on a proxy counts", () => {
  const merged = mergeStatus(own, [{ row: row("us"), answer: other }]);
  expect(merged.controlPlanes.map((each) => `${each.id} ${each.state}`)).toEqual([
    "eu serving",
    "us stale",
  ]);
  expect(merged.proxies.map((each) => `${each.id} by ${each.controlPlane}`)).toEqual([
    "p1 by eu",
    "p2 by us",
  ]);
  expect(merged.backends.map((each) => each.state)).toEqual(["available", "available"]);
  expect(merged.regions.map((each) => each.available)).toEqual([1, 1]);
});

test("who does not answer is shown as unreachable, and nothing else changes", () => {
  const merged = mergeStatus(own, [{ row: row("ap"), answer: undefined }]);
  expect(merged.controlPlanes.map((each) => `${each.id} ${each.state}`)).toEqual([
    "ap unreachable",
    "eu serving",
  ]);
  expect(merged.proxies).toHaveLength(2);
  expect(merged.backends.map((each) => each.state)).toEqual(["available", "unknown"]);
});

test("a region's row of the table is its own control plane's; one that is silent is shown as it is seen from here", () => {
  const pool = (region: string, share: number) =>
    create(PoolStatusSchema, {
      region,
      model: "m",
      outflows: [{ region: "elsewhere", share, tokens: 0 }],
    });
  const pools = [pool("eu", 100), pool("us", 200), pool("ap", 300)];
  const models = [create(ModelStatusSchema, { model: "m", demandTokens: 7n })];
  const answers = [
    {
      row: row("us"),
      answer: create(StatusResponseSchema, { ...other, pools: [pool("eu", 1), pool("us", 2)] }),
    },
    { row: row("ap"), answer: undefined },
  ];
  const merged = mergeStatus(create(StatusResponseSchema, { ...own, pools, models }), answers);
  const shares = merged.pools.map((each) => [each.region, each.outflows[0]?.share]);
  expect(shares).toEqual([
    ["eu", 100],
    ["us", 2],
    ["ap", 300],
  ]);
  expect(merged.models).toEqual(models);
});
