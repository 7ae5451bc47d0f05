// A model server dies, comes back, or answers wrongly: how fast each is known, what clients see of it, and what operators
// are told.

import { type Cluster, type Program, startCluster, withCanaries } from "@meridian/harness";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { endpointOf, showLogsOfFailures } from "./client.ts";
import { opsOf, readMetric } from "./metric-reading.ts";
import { startLoad } from "./steady-load.ts";

const region = "eu-west";
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ regions: [region], proxiesPerRegion: 2, policy: withCanaries });
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

type Explained = {
  readonly verdict: string;
  readonly phase: string;
  readonly share?: number;
  readonly reason: string;
  readonly history?: readonly { readonly atMs: string; readonly verdict: string }[];
};

async function explain(backend: string): Promise<Explained> {
  const done = await cluster.meridian("explain", "backend", backend, "-o", "json");
  expect(done, done.stderr).toMatchObject({ code: 0 });
  return JSON.parse(done.stdout).report;
}

/** Polls until the backend stands so; the same evidence is what operators see. */
function until(
  backend: string,
  stands: (report: Explained) => void,
  timeout: number,
): Promise<Explained> {
  return vi.waitFor(
    async () => {
      const report = await explain(backend);
      stands(report);
      return report;
    },
    { timeout, interval: 200 },
  );
}

function backendProgram(name: string): Program {
  const found = cluster.region(region).backends.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no backend is named ${name}`);
  return found;
}

test("a killed backend is ejected at once and unhealthy soon; it comes back by proof, with a growing share", async () => {
  const victim = `${region}-a`;
  await until(victim, (each) => expect(each.verdict).toBe("healthy"), 15_000);
  const load = startLoad(endpointOf(cluster, region), "sim-large", 20);
  const available = () =>
    readMetric(opsOf(cluster, region), `meridian_backend_available{backend="${victim}"}`);
  await vi.waitFor(async () => expect(await available()).toBe(1), { timeout: 5_000 });

  const killedAt = Date.now();
  await backendProgram(victim).kill();
  await vi.waitFor(async () => expect(await available()).toBe(0), { timeout: 5_000, interval: 10 });
  const ejectedMs = Date.now() - killedAt;
  const told = await until(victim, (each) => expect(each.verdict).toBe("unhealthy"), 15_000);
  const verdictMs = Number(told.history?.[0]?.atMs) - killedAt;
  expect(told.history?.[0]?.verdict).toBe("unhealthy");
  const requests = await load.stop();
  console.log(
    `ejected after ${ejectedMs} ms, unhealthy after ${verdictMs} ms, ` +
      `${load.errors.length} of ${requests} requests failed`,
  );
  expect(load.errors).toEqual([]);
  // Twice what is promised: others use the machine.
  expect(ejectedMs).toBeLessThanOrEqual(2_000);
  expect(verdictMs).toBeLessThanOrEqual(6_000);
  const status = await cluster.meridian("status", "--health");
  expect(status.stdout).toMatch(new RegExp(`${victim} .*unhealthy`));

  await backendProgram(victim).start();
  const back = await until(victim, (each) => expect(each.phase).toBe("returning"), 90_000);
  expect(back.share).toBeLessThan(1_000);
  const grown = (each: Explained) => expect(each.share).toBeGreaterThan(Number(back.share));
  await until(victim, grown, 15_000);
});

test("a backend that answers wrongly, though with status 200, is found out by its canary", async () => {
  const [, liarUrl = ""] = cluster.region(region).backendUrls;
  const liar = `${region}-b`;
  const rule = { kind: "other-words", model: "sim-small" };
  const set = await fetch(`${liarUrl}/faults`, { method: "POST", body: JSON.stringify(rule) });
  expect(set.status).toBe(200);
  const begun = Date.now();
  const told = await until(liar, (each) => expect(each.verdict).not.toBe("healthy"), 60_000);
  console.log(`found out after ${Date.now() - begun} ms: ${told.verdict}, ${told.reason}`);
  expect(told.reason).toMatch(/wrong/);
});
