// Backends that are in trouble and not dead: one that fails half of its requests, a slow one, and a pool that is slow as a
// whole. What is only slow loses weight and is never taken out.

import { type Cluster, startCluster } from "@meridian/harness";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { endpointOf, showLogsOfFailures } from "./client.ts";
import { opsOf, readMetric } from "./metric-reading.ts";
import { type SteadyLoad, startLoad } from "./steady-load.ts";

const region = "eu-west";
/** Two backends each, in the order of the region's; each is a model, too. */
const pools = ["failing", "slow", "all-slow"] as const;
type Pool = (typeof pools)[number];

let cluster: Cluster;
const loads = new Map<Pool, SteadyLoad>();
beforeAll(async () => {
  cluster = await startCluster({
    regions: [region],
    backendsPerRegion: 2 * pools.length,
    // 150 ms on the way to the first token, so that a machine under load does not hide what is slow.
    models: ["chat:1:2:0:64:512:150", "quick:1:2"],
    speed: 1,
    policy: (policy) => ({
      ...policy,
      models: pools.map((name) => ({ name })),
      backends: policy.backends.map((each, at) => {
        const model = pools[Math.floor(at / 2)] ?? "";
        return { ...each, serves: [{ model, as: model === "failing" ? "quick" : "chat" }] };
      }),
    }),
  });
  loads.set("failing", startLoad(endpointOf(cluster, region), "failing", 20));
});
afterAll(async () => {
  await Promise.all([...loads.values()].map((each) => each.stop()));
  await cluster?.stop();
});
showLogsOfFailures(() => cluster);

type Explained = {
  readonly verdict: string;
  readonly share?: number;
  readonly reason: string;
  readonly history?: readonly { readonly verdict: string }[];
};

async function explain(backend: string): Promise<Explained> {
  const done = await cluster.meridian("explain", "backend", backend, "-o", "json");
  expect(done, done.stderr).toMatchObject({ code: 0 });
  return JSON.parse(done.stdout).report;
}

function namesOf(pool: Pool): readonly string[] {
  const first = 2 * pools.indexOf(pool);
  return [first, first + 1].map((at) => `${region}-${String.fromCharCode(97 + at)}`);
}

async function fail(backend: string, rule: object): Promise<void> {
  const at = cluster.region(region).backends.findIndex((each) => each.name === backend);
  const url = cluster.region(region).backendUrls[at];
  const answer = await fetch(`${url}/faults`, { method: "POST", body: JSON.stringify(rule) });
  expect(answer.status, await answer.text()).toBe(200);
}

/** Until it is known of both backends what is usual: 50 first tokens, and some more as they have not the same. */
async function untilUsual(pool: "slow" | "all-slow"): Promise<void> {
  const series = `meridian_first_token_seconds_count{route="all",model="${pool}"}`;
  const count = () => readMetric(opsOf(cluster, region), series);
  await vi.waitFor(async () => expect(await count()).toBeGreaterThan(130), {
    timeout: 60_000,
    interval: 200,
  });
}

async function untilDegraded(backend: string): Promise<Explained> {
  const stands = async (): Promise<Explained> => {
    const report = await explain(backend);
    expect(report.verdict).toBe("degraded");
    return report;
  };
  return vi.waitFor(stands, { timeout: 90_000, interval: 300 });
}

function everOut({ history = [] }: Explained): boolean {
  return history.some((each) => each.verdict === "unhealthy");
}

test("a backend that fails half of its requests loses weight in seconds, and no client sees it", async () => {
  const [victim = ""] = namesOf("failing");
  await vi.waitFor(async () => expect((await explain(victim)).verdict).toBe("healthy"), 15_000);
  const begun = Date.now();
  await fail(victim, { kind: "status", status: 500, share: 0.5 });
  const told = await vi.waitFor(
    async () => {
      const report = await explain(victim);
      expect(report.verdict).not.toBe("healthy");
      return report;
    },
    { timeout: 30_000, interval: 200 },
  );
  console.log(`half of it fails: ${told.verdict} after ${Date.now() - begun} ms, ${told.reason}`);
  expect(told.share ?? 0).toBeLessThanOrEqual(500);
  expect(told.reason).toMatch(/requests failed/);
  expect(loads.get("failing")?.errors).toEqual([]);
});

test("a backend that is three times as slow loses half of its weight and is not taken out", async () => {
  const [victim = ""] = namesOf("slow");
  // Only now: what programs that have just started take is not usual.
  for (const pool of ["slow", "all-slow"] as const) {
    loads.set(pool, startLoad(endpointOf(cluster, region), pool, 8, true));
  }
  await untilUsual("slow");
  await fail(victim, { kind: "slow", factor: 3 });
  const told = await untilDegraded(victim);
  expect(told).toMatchObject({ share: 500, reason: expect.stringMatching(/waits were slow/) });
});

test("of a pool that is slow as a whole nobody is taken out", async () => {
  await untilUsual("all-slow");
  const names = namesOf("all-slow");
  for (const name of names) await fail(name, { kind: "slow", factor: 3 });
  for (const name of names) await untilDegraded(name);
  for (const name of [...names, ...namesOf("slow")]) {
    expect(everOut(await explain(name)), name).toBe(false);
    const available = `meridian_backend_available{backend="${name}"}`;
    expect(await readMetric(opsOf(cluster, region), available), name).toBe(1);
  }
  for (const load of loads.values()) expect(load.errors).toEqual([]);
});
