import { seededRandom } from "@meridian/proto/base";
import { newBackendHealth } from "@meridian/proto/health";
import { samplePolicy } from "@meridian/proto/policy-sample";
import { expect, test } from "vitest";
import { drainsAt } from "../drain/index.ts";
import { digestDueAt } from "./digest-due.ts";
import { countPools, type PoolCounts, type PoolSources } from "./pool-counts.ts";
import { createProxies } from "./proxies.ts";
import { RegionLoads } from "./region-loads.ts";

type Tokens = readonly (number | undefined)[];

/** A region of so many backends; each number is what one declares per minute, undefined: nothing. */
function region(declared: Tokens, weights: readonly number[] = []) {
  const [first] = samplePolicy().backends;
  if (first === undefined) throw new Error("the sample policy has a backend");
  const policy = {
    ...samplePolicy(),
    backends: declared.map((tokensPerMinute, at) => {
      const { capacity: _, ...bare } = first;
      const weight = weights[at] ?? 1;
      const backend = { ...bare, name: `b${at}`, weight, serves: [{ model: "llama-8b" }] };
      return tokensPerMinute === undefined
        ? backend
        : { ...backend, capacity: { tokensPerMinute } };
    }),
  };
  const loads = new RegionLoads();
  loads.arrange(policyOf(policy));
  return { policy: policyOf(policy), loads, proxies: createProxies() };
}

function policyOf(policy: unknown): PoolSources["policy"] {
  // Messages as plain objects: what the counting reads of them is all there.
  return policy as PoolSources["policy"];
}

function count(from: Partial<PoolSources> & Pick<PoolSources, "policy" | "loads" | "proxies">) {
  const sources = { drains: drainsAt([], 0), judged: () => undefined, ...from };
  return countPools("us-east", sources, 0)[0];
}

function judgedAs(shares: { readonly [name: string]: number }): PoolSources["judged"] {
  return (name) => ({
    name,
    region: "us-east",
    verdict: shares[name] === 0 ? "unhealthy" : "healthy",
    share: shares[name] ?? 1,
    isProving: false,
    freezesBaseline: false,
    probers: [],
    canaryVector: [],
    canaryTokensPerDay: 0,
    health: newBackendHealth(0),
    heardAt: 0,
  });
}

test("a pool bears what its backends do, each by its verdict's share", () => {
  const three = region([60_000, 60_000, 60_000]);
  expect(count(three)?.capacity).toBe(3_000);
  const judged = judgedAs({ b0: 0.5, b1: 0 });
  expect(count({ ...three, judged })).toMatchObject({ available: 2, capacity: 1_500 });
});

test("a drained backend bears nothing, and a pool without an available one nothing at all", () => {
  const order = (name: string) => ({
    target: { kind: "backend", name } as const,
    untilMs: 9,
    reason: "",
    author: "",
  });
  const two = region([60_000, 60_000]);
  expect(count({ ...two, drains: drainsAt([order("b0")], 0) })?.capacity).toBe(1_000);
  expect(count({ ...two, drains: drainsAt([order("b0"), order("b1")], 0) })?.capacity).toBe(0);
});

test("what nobody knows of any backend is not known of the pool", () => {
  expect(count(region([undefined, undefined]))?.capacity).toBeUndefined();
});

test("a few unknown ones are taken for the known ones of their pool, by weight", () => {
  expect(count(region([60_000, 60_000, undefined]))?.capacity).toBe(3_000);
  expect(count(region([120_000, undefined], [2, 1]))?.capacity).toBe(3_000);
  expect(count(region([60_000, undefined, undefined]))?.capacity).toBeUndefined();
});

test("figures have two digits", () => {
  expect(count(region([987_654 * 60]))?.capacity).toBe(990_000);
  expect(count(region([77 * 60]))?.capacity).toBe(77);
  expect(count(region([1]))?.capacity).toBe(1);
});

test("a model that clients ask for is told, also where no backend serves it", () => {
  const one = region([60_000]);
  const pools = [{ model: "llama-70b", requests: 1, tokens: 12_345, held: 0, sentAway: 1 }];
  one.loads.take("us-east", { backends: [], pools }, 0);
  const sources = { ...one, drains: drainsAt([], 0), judged: () => undefined };
  expect(countPools("us-east", sources, 0)[0]).toEqual({
    model: "llama-70b",
    backends: 0,
    available: 0,
    capacity: 0,
    demand: 1_200,
    pending: 0,
  });
  expect(countPools("us-east", sources, 120_000).map((each) => each.model)).toEqual(["llama-8b"]);
});

const load: PoolCounts = {
  model: "m",
  backends: 2,
  available: 2,
  capacity: 10_000,
  demand: 5_000,
  pending: 1_000,
};

test.each([
  [{}, "no news"],
  [{ demand: 5_900 }, "no news"],
  [{ demand: 6_100 }, "news"],
  [{ demand: 3_900 }, "news"],
  [{ capacity: 10_900 }, "no news"],
  [{ capacity: 8_900 }, "news"],
  [{ capacity: undefined }, "news"],
  [{ pending: 10_900 }, "no news"],
  [{ pending: 12_000 }, "news"],
  [{ available: 1 }, "news"],
])("of a pool that was %j now the write is %s", (change, expected) => {
  const digest = (pool: PoolCounts) => ({ region: "eu", proxies: 1, pools: [pool], verdicts: [] });
  const due = digestDueAt({ digest: digest(load), at: 0 }, digest({ ...load, ...change }));
  expect(due).toBe(expected === "news" ? 1_000 : 10_000);
});

test("a steady load of ten requests a second is hardly ever news", () => {
  const random = seededRandom("steady");
  const loads = region([60_000 * 20]);
  let written = { digest: digestAt(0), at: 0 };
  let writes = 0;
  function digestAt(now: number) {
    const sources = { ...loads, drains: drainsAt([], 0), judged: () => undefined };
    return {
      region: "us-east",
      proxies: 1,
      pools: countPools("us-east", sources, now),
      verdicts: [],
    };
  }
  // Requests come at random, of 50 to 1,150 tokens: 6,000 tokens a second of 20,000.
  for (let second = 1; second <= 600; second++) {
    let tokens = 0;
    for (let slice = 0; slice < 100; slice++) {
      if (random.next() < 0.1) tokens += 50 + random.integer(1_100);
    }
    const pool = { model: "llama-8b", requests: 10, tokens, held: 0, sentAway: 0 };
    loads.loads.take("us-east", { backends: [], pools: [pool] }, second * 1_000);
    const digest = digestAt(second * 1_000);
    if (second <= 60 || digestDueAt(written, digest) > second * 1_000) continue;
    written = { digest, at: second * 1_000 };
    writes += 1;
  }
  // One in ten seconds are 54.
  expect(writes).toBeGreaterThanOrEqual(50);
  expect(writes).toBeLessThan(70);
});
