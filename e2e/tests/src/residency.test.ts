// A tenant whose requests may be handled in one region alone: whatever happens there, none of them reaches a model server
// of another region. What the model servers were asked is read from themselves; another tenant shows that each way leads away.

import { type Cluster, startCluster } from "@meridian/harness";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  type Answer,
  abroad,
  ask,
  askedOf,
  calledFor,
  home,
  idsIn,
  type Tenant,
  twoTenants,
} from "./bound-tenant.ts";
import { showLogsOfFailures } from "./client.ts";
import { opsOf, readMetric } from "./metric-reading.ts";

const soon = { timeout: 60_000, interval: 100 };
const regions = [home, ...abroad];

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster(twoTenants);
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

afterEach(async () => {
  for (const region of abroad) expect(await idsIn(cluster, region, "bound")).toEqual([]);
});

function askMany(tenant: Tenant, region: string, count: number): Promise<readonly Answer[]> {
  return Promise.all(Array.from({ length: count }, () => ask(cluster, tenant, region)));
}

/** The bound tenant's requests are answered at home or refused, wherever they enter. */
async function expectHomeOrRefused(): Promise<void> {
  const answers = await Promise.all(regions.map((region) => ask(cluster, "bound", region)));
  for (const { status, region: by, text } of answers) {
    if (status === 200) expect(by).toBe(home);
    else expect(status, text).toBeGreaterThanOrEqual(403);
  }
}

async function expectRefused(where: readonly string[] = regions): Promise<void> {
  for (const region of where) {
    const { status, text } = await ask(cluster, "bound", region);
    expect(status, text).toBeGreaterThanOrEqual(403);
  }
}

/** A tenant that may go everywhere finds another region: the way is open. */
async function expectFreeAway(): Promise<void> {
  const answered = async () => (await ask(cluster, "free", home)).region;
  await expect.poll(answered, soon).toBeOneOf([...abroad]);
}

/** All is well again, by the proxies' evidence too. */
async function untilWell(): Promise<void> {
  for (const tenant of ["bound", "free"] as const) {
    const served = async () => (await askMany(tenant, home, 4)).map((each) => each.region);
    await expect.poll(served, soon).toEqual([home, home, home, home]);
  }
}

/** Switches a fault on at the home region's model servers, or all faults off. */
async function faults(rule: object | undefined): Promise<void> {
  const body = { method: "POST", body: JSON.stringify(rule) };
  for (const url of cluster.region(home).backendUrls) {
    const answer = await fetch(`${url}/faults`, rule === undefined ? { method: "DELETE" } : body);
    expect(answer.status).toBe(200);
  }
}

async function meridian(...args: readonly string[]): Promise<void> {
  expect(await cluster.meridian(...args)).toMatchObject({ code: 0, stderr: "" });
}

test("wherever its requests enter, they are answered at home", async () => {
  for (const region of regions) {
    for (const { status, region: by } of await askMany("bound", region, 8)) {
      expect(`${status} ${by}`).toBe(`200 ${home}`);
    }
    const free = async () => (await ask(cluster, "free", region)).region;
    await expect.poll(free, soon).toBe(region);
  }
  expect((await idsIn(cluster, home, "bound")).length).toBeGreaterThanOrEqual(24);
});

test("its sessions stay at home, wherever they come from", async () => {
  for (let session = 0; session < 8; session++) {
    const headers = { "x-chat": `chat ${session}` };
    for (const region of regions) {
      expect((await ask(cluster, "bound", region, headers)).region).toBe(home);
    }
  }
});

test("copies of its requests are made at home alone", async () => {
  const copied = async (region: string) => {
    const all = await askedOf(cluster, region);
    const copies = all.filter((each) => each["x-meridian-shadow"] === "1");
    return copies.map((each) => each["x-request-id"]?.split("-")[0]);
  };
  const copies = async () => {
    for (const region of regions) {
      await ask(cluster, "bound", region);
      await ask(cluster, "free", region);
    }
    return [await copied(home), await copied("us-east")];
  };
  const both = expect.arrayContaining(["bound", "free"]);
  await expect.poll(copies, soon).toEqual([both, expect.arrayContaining(["free"])]);
});

test("a second call beside a slow first one goes nowhere else", async () => {
  const [first, other = ""] = cluster.region(home).backends.map((each) => each.name);
  await meridian("drain", "backend", other, "--for", "5m", "--reason", "test");
  const backends = async () => (await askMany("free", home, 3)).map((each) => each.backend);
  await expect.poll(backends, soon).toEqual([first, first, first]);
  // Before it is known how long calls take there is no second one.
  for (let round = 0; round < 12; round++) await askMany("bound", home, 4);
  await faults({ kind: "slow", factor: 60 });
  await expectFreeAway();
  await expectHomeOrRefused();
  await faults(undefined);
  await meridian("undrain", "backend", other);
});

test("a try after failures goes nowhere else", async () => {
  await faults({ kind: "status", status: 500 });
  await expectFreeAway();
  await expectRefused();
  await faults(undefined);
  await untilWell();
});

test("a broken stream goes on nowhere else", async () => {
  await faults({ kind: "reset-at-token", token: 3 });
  const free = async () => (await ask(cluster, "free", home)).text;
  await expect.poll(free, soon).toMatch(/: meridian: continued on (us-east|ap-south)/);
  for (const region of regions) {
    const { status, text } = await ask(cluster, "bound", region);
    if (status === 200) expect(text).not.toContain("[DONE]");
    else expect(status, text).toBeGreaterThanOrEqual(403);
  }
  await faults(undefined);
  await untilWell();
});

test("while its home says that it is full, it is told so", async () => {
  await faults({ kind: "status", status: 429, retryAfterSeconds: 1 });
  await expectFreeAway();
  await expectRefused();
  await faults(undefined);
  await untilWell();
});

test("while its home works on as much as it may, it waits there", async () => {
  const answered = async () => {
    const [bound, free] = await Promise.all([
      askMany("bound", home, 40),
      askMany("free", home, 40),
    ]);
    for (const each of bound) expect(`${each.status} ${each.region}`).toBe(`200 ${home}`);
    return free.map((each) => each.region);
  };
  const away = expect.stringMatching(/us-east|ap-south/);
  await expect.poll(answered, soon).toEqual(expect.arrayContaining([away]));
});

test("while its home is drained, it is answered there or not at all; the drain must be forced", async () => {
  const drain = ["drain", "region", home, "--for", "5m", "--reason", "test"] as const;
  const { code, stderr } = await cluster.meridian(...drain);
  expect(code).toBe(1);
  expect(stderr).toContain("residency_unserved");
  await meridian(...drain, "--force");
  await expectFreeAway();
  await expectHomeOrRefused();
  await meridian("undrain", "region", home);
  await untilWell();
});

test("without a proxy at home those who come elsewhere are refused", async () => {
  const [proxy] = cluster.region(home).proxies;
  await proxy?.kill();
  await expectRefused(abroad);
  await proxy?.start();
  for (const region of abroad) {
    const answered = async () => (await ask(cluster, "bound", region)).region;
    await expect.poll(answered, soon).toBe(home);
  }
});

test("without a model server at home it is refused", async () => {
  await Promise.all(cluster.region(home).backends.map((each) => each.kill()));
  await expectFreeAway();
  await expectRefused();
});

test("what proxies ask each other by themselves carries nothing of it, and they called nobody else for it", async () => {
  const answeredBy = (region: string) =>
    `meridian_path_requests_total{region="${region}",kind="inference",outcome="answered"}`;
  const inferences = async () => {
    const counts = await Promise.all([
      readMetric(opsOf(cluster, "us-east"), answeredBy("ap-south")),
      readMetric(opsOf(cluster, "ap-south"), answeredBy("us-east")),
    ]);
    return counts.some((each) => (each ?? 0) > 0);
  };
  await expect.poll(inferences, soon).toBe(true);
  for (const region of abroad) {
    const called = await calledFor(cluster, region);
    expect(called.length).toBeGreaterThan(10);
    for (const each of called) expect(each).toMatch(/^\w+ eu-west\//);
  }
});
