import { newBackendHealth } from "@meridian/proto/health";
import { samplePolicy } from "@meridian/proto/policy-sample";
import fc from "fast-check";
import { expect, test } from "vitest";
import { drainsAt } from "../drain/index.ts";
import { digestRegion, parseDigest, type RegionDigest } from "./digest.ts";
import { digestDueAt } from "./digest-due.ts";
import { createProxies } from "./proxies.ts";
import { RegionLoads } from "./region-loads.ts";

const policy = samplePolicy();
const nothingDrained = drainsAt([], 0);
const loads = new RegionLoads();
/** What is said of a pool whose load nobody knows. */
const noLoad = { capacity: undefined, demand: 0, pending: 0 };
const untold = { former: undefined, wall: 1_000_000 };
const report = (ejected: readonly string[]) => ({
  backends: ejected.map((name) => ({
    name,
    succeeded: 0,
    failed: 1,
    inFlight: 0,
    pendingTokens: 0,
    ejected: true,
  })),
  pools: [],
  stateAgeMs: 0,
  liveRequests: 0,
  draining: false,
  applied: { $typeName: "meridian.v1.Version", epoch: 1n, sequence: 1n } as const,
});

function digestOf(region: string, ejected: readonly string[], drains = nothingDrained) {
  const proxies = createProxies();
  proxies.report({ id: "p", region, build: "" }, report(ejected), 0);
  return digestRegion(
    region,
    { policy, proxies, loads, drains, judged: () => undefined, ...untold },
    0,
  );
}

test("a digest counts ready proxies, and per model the backends that requests may go to", () => {
  expect(digestOf("us-east", [])).toEqual({
    region: "us-east",
    proxies: 1,
    pools: [
      { model: "llama-70b", backends: 1, available: 1, ...noLoad },
      { model: "llama-8b", backends: 1, available: 1, ...noLoad },
    ],
    verdicts: [],
  });
});

test("a verdict goes before what proxies hold out, and is told with its evidence", () => {
  const proxies = createProxies();
  proxies.report({ id: "p", region: "us-east", build: "" }, report(["us-a"]), 0);
  const judgedAs = (verdict: "healthy" | "unhealthy") => () => ({
    name: "us-a",
    region: "us-east",
    verdict,
    share: verdict === "healthy" ? 1 : 0,
    isProving: false,
    freezesBaseline: false,
    probers: [],
    canaryVector: [],
    canaryTokensPerDay: 0,
    health: newBackendHealth(0),
    heardAt: 0,
  });
  const digest = (verdict: "healthy" | "unhealthy") => {
    const judged = judgedAs(verdict);
    return digestRegion(
      "us-east",
      { policy, proxies, loads, drains: nothingDrained, judged, ...untold },
      0,
    );
  };
  expect(digest("healthy").pools.map((each) => each.available)).toEqual([1, 1]);
  expect(digest("unhealthy").pools.map((each) => each.available)).toEqual([0, 0]);
  expect(digest("unhealthy").verdicts).toMatchObject([{ backend: "us-a", verdict: "unhealthy" }]);
  // Evidence alone is no reason to write again.
  const first = digest("unhealthy");
  const verdicts = first.verdicts.map((each) => ({ ...each, n: each.n + 7 }));
  expect(digestDueAt({ digest: first, at: 100 }, { ...first, verdicts })).toBe(10_100);
});

test("ejected and drained backends are not available; of weight 0 not even counted", () => {
  expect(digestOf("us-east", ["us-a"]).pools.map((each) => each.available)).toEqual([0, 0]);
  const target = { kind: "backend", name: "eu-a" } as const;
  const drains = drainsAt([{ target, untilMs: 9, reason: "", author: "" }], 0);
  expect(digestOf("eu-west", [], drains).pools).toEqual([
    { model: "llama-70b", backends: 1, available: 0, ...noLoad, capacity: 0 },
    { model: "llama-8b", backends: 1, available: 0, ...noLoad, capacity: 0 },
  ]);
});

test("a control plane that has heard of no proxy does not call its region's backends gone", () => {
  const silent = {
    policy,
    proxies: createProxies(),
    loads,
    drains: nothingDrained,
    judged: () => undefined,
    ...untold,
  };
  const digest = digestRegion("us-east", silent, 0);
  expect(digest.proxies).toBe(0);
  expect(digest.pools.map((each) => each.available)).toEqual([1, 1]);
});

test("a large fleet's count is rounded, so that one proxy more is no news", () => {
  const proxies = createProxies();
  for (let at = 0; at < 123; at++) {
    proxies.report({ id: `p${at}`, region: "us-east", build: "" }, report([]), 0);
  }
  expect(
    digestRegion(
      "us-east",
      { policy, proxies, loads, drains: nothingDrained, judged: () => undefined, ...untold },
      0,
    ).proxies,
  ).toBe(120);
});

test("a digest is written at once, on change after a second, and unchanged after ten", () => {
  const digest = digestOf("us-east", []);
  expect(digestDueAt(undefined, digest)).toBe(Number.NEGATIVE_INFINITY);
  expect(digestDueAt({ digest, at: 100 }, digestOf("us-east", []))).toBe(10_100);
  expect(digestDueAt({ digest, at: 100 }, digestOf("us-east", ["us-a"]))).toBe(1_100);
});

test("a digest is read back as it was written", () => {
  const counts = fc.nat(1_000);
  const pools = fc.array(
    fc
      .record({
        model: fc.string(),
        backends: counts,
        available: counts,
        capacity: fc.option(counts, { nil: undefined }),
        demand: counts,
        pending: counts,
      })
      .map((pool) => ({ ...pool, available: Math.min(pool.available, pool.backends) })),
  );
  fc.assert(
    fc.property(counts, pools, (proxies, list) => {
      const digest: RegionDigest = { region: "eu", proxies, pools: list, verdicts: [] };
      const value: unknown = JSON.parse(JSON.stringify(digest));
      expect(parseDigest("eu", value)).toEqual({ kind: "ok", value: digest });
    }),
  );
});

test.each([
  [null],
  [[]],
  ["text"],
  [{}],
  [{ proxies: 1 }],
  [{ proxies: -1, pools: [] }],
  [{ proxies: 1.5, pools: [] }],
  [{ proxies: 1, pools: [{}] }],
  [{ proxies: 1, pools: [null] }],
  [{ proxies: 1, pools: [{ model: "m", backends: "1", available: 1 }] }],
  [{ proxies: 1, pools: new Array(2_001).fill({ model: "m", backends: 1, available: 1 }) }],
])("the value %j is no digest", (value) => {
  expect(parseDigest("eu", value).kind).toBe("err");
});

test("a build without the region table knows no capacity and tells no demand, and ours is read by it", () => {
  const older = { proxies: 1, pools: [{ model: "m", backends: 2, available: 2 }], verdicts: [] };
  expect(parseDigest("eu", older)).toMatchObject({ kind: "ok", value: { pools: [noLoad] } });
  for (const odd of ["7", -1, 1.5, null, {}]) {
    const pool = {
      model: "m",
      backends: 2,
      available: 2,
      capacity: odd,
      demand: odd,
      pending: odd,
    };
    expect(parseDigest("eu", { ...older, pools: [pool] })).toMatchObject({
      kind: "ok",
      value: { pools: [noLoad] },
    });
  }
});

test("the region of a digest is that of its key, and it never has more available than there are", () => {
  const value = { region: "us", proxies: 1, pools: [{ model: "m", backends: 1, available: 7 }] };
  expect(parseDigest("eu", value)).toEqual({
    kind: "ok",
    value: {
      region: "eu",
      proxies: 1,
      pools: [{ model: "m", backends: 1, available: 1, ...noLoad }],
      verdicts: [],
    },
  });
});
