import { status } from "@grpc/grpc-js";
import { type Etcd, startEtcd } from "@meridian/harness";
import { AdminService, type StatusResponse } from "@meridian/proto/gen/admin_pb";
import type { StateFrame } from "@meridian/proto/gen/sync_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { callUnary } from "./test-calls.ts";
import { type Inbox, TestProxy } from "./test-proxy.ts";
import { Rig, testPolicy, testRegions } from "./test-rig.ts";

const { method } = AdminService;
let etcd: Etcd;
const rigs: Rig[] = [];

beforeAll(async () => {
  etcd = await startEtcd({ members: 1 });
  for (const region of testRegions) {
    const [first] = rigs;
    const store = `etcd:${etcd.endpoints(region).join(",")}`;
    rigs.push(
      await Rig.start({ region, store, ...(first === undefined ? {} : { certificatesOf: first }) }),
    );
  }
});
afterAll(async () => {
  for (const each of reporting) clearInterval(each);
  await Promise.all(rigs.toReversed().map((each) => each.stop()));
  await etcd?.stop();
});

function rig(index: number): Rig {
  const found = rigs[index];
  if (found === undefined) throw new Error("not started");
  return found;
}

const statusBy = (index: number): Promise<StatusResponse> =>
  callUnary(rig(index).operator, method.status, {});

const proxyOf = (index: number) => {
  const region = testRegions[index] ?? "";
  return new TestProxy(rig(index).connect(`proxy-${region}`), region, `${region}-1`);
};

/** Proxies that report each second, by region, until the file's end. */
const reporting: NodeJS.Timeout[] = [];

function reportEachSecond(proxy: TestProxy, tokens: number): void {
  const reports = proxy.reports();
  const applied = { epoch: 1n, sequence: 1n };
  const pools = [{ model: "llama", requests: 1, tokens }];
  const send = () => {
    if (reports.acks.ended === undefined) reports.send({ applied, pools, stateAgeMs: 100 });
  };
  send();
  reporting.push(setInterval(send, 1_000));
}

/** Waits for a frame whose row is as wanted; shares in thousandths. */
async function rowOf(
  states: Inbox<StateFrame>,
  isWanted: (row: ReadonlyMap<string, number>) => boolean,
  withinMs: number,
): Promise<ReadonlyMap<string, number>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const { outflows } = await states.next();
    const row = new Map(outflows.map((each) => [each.region, each.share]));
    if (isWanted(row)) return row;
    if (performance.now() > deadline) throw new Error(`the row is ${JSON.stringify([...row])}`);
  }
}

const patient = { timeout: 20_000, interval: 200 };

test("a policy applied in one region is pushed in all, in one version", async () => {
  const proxies = testRegions.map((_, index) => proxyOf(index));
  for (const each of proxies) each.hello();
  const applied = await rig(0).apply(testPolicy());
  expect(formatVersion(applied.version)).toBe("1.1");
  for (const [index, each] of proxies.entries()) {
    const push = await each.pushes.next();
    expect(push.region).toBe(testRegions[index]);
    expect(formatVersion(push.version)).toBe("1.1");
    each.accept(push);
  }
});

test("appliers of all regions at once all get a version of their own", async () => {
  const applied = await Promise.all(
    Array.from({ length: 30 }, (_, index) => rig(index % 3).apply(testPolicy(10 + index))),
  );
  const versions = new Set(applied.map((each) => formatVersion(each.version)));
  expect(versions.size).toBe(30);
  await vi.waitFor(async () => {
    for (const index of [0, 1, 2]) {
      expect(formatVersion((await statusBy(index)).policy)).toBe("1.31");
    }
  }, patient);
});

test("each control plane shows the proxies of all", async () => {
  const proxies = testRegions.map((_, index) => proxyOf(index));
  for (const each of proxies) each.hello();
  await vi.waitFor(async () => {
    const { controlPlanes, proxies: seen } = await statusBy(1);
    expect(controlPlanes.map((each) => `${each.id} ${each.state}`)).toEqual([
      "control-ap-south serving",
      "control-eu-west serving",
      "control-us-east serving",
    ]);
    expect(seen.map((each) => `${each.id} at ${each.controlPlane}`)).toEqual([
      "ap-south-1 at control-ap-south",
      "eu-west-1 at control-eu-west",
      "us-east-1 at control-us-east",
    ]);
  }, patient);
});

test("a drain given in one region reaches the proxies of another at once", async () => {
  const states = proxyOf(2).states();
  await states.next();
  const at = performance.now();
  const done = await callUnary(rig(0).operator, method.drain, {
    what: { case: "region", value: "us-east" },
    forSeconds: 600,
    reason: "test",
    force: true,
  });
  expect(done.problems).toEqual([]);
  for (;;) {
    const { regions } = await states.next();
    if (regions.some((each) => each.name === "us-east" && each.draining)) break;
  }
  expect(performance.now() - at).toBeLessThan(2_000);
  await callUnary(rig(1).operator, method.undrain, { what: { case: "region", value: "us-east" } });
});

test("what proxies report comes back as their region's row of the table", async () => {
  // eu-west is asked for more than all regions together have, the others for next to nothing.
  for (const index of [0, 1, 2]) reportEachSecond(proxyOf(index), index === 0 ? 100_000 : 1);
  const states = proxyOf(0).states();
  const isFull = (row: ReadonlyMap<string, number>) =>
    [...row.values()].every((each) => each > 300);
  const row = await rowOf(states, (each) => each.size === 2 && isFull(each), 30_000);
  // All regions get as much: a third of it stays.
  for (const share of row.values()) expect(share).toBeLessThan(345);
  const { regions } = await states.next();
  expect(regions.map((each) => each.pools[0]?.capacityTokens)).toEqual([1_000, 1_000, 1_000]);
  const pool = regions.find((each) => each.name === "eu-west")?.pools[0];
  expect(pool?.demandTokens).toBeGreaterThan(10_000);
  // The others keep their own: the same table, by other control planes.
  for (const index of [1, 2]) {
    const other = await rowOf(proxyOf(index).states(), (each) => each.size === 2, 10_000);
    expect([...other.values()]).toEqual([0, 0]);
  }
});

test("the table is shown to operators by every control plane, and in the metrics", async () => {
  for (const index of [0, 1]) {
    await vi.waitFor(async () => {
      const { pools, models } = await statusBy(index);
      const home = pools.find((each) => each.region === "eu-west");
      expect(home).toMatchObject({ model: "llama", backends: 1, capacityTokens: 1_000 });
      expect(home?.outflows.map((each) => each.region)).toEqual(["ap-south", "us-east"]);
      for (const { share, tokens } of home?.outflows ?? []) {
        expect(share).toBeGreaterThan(300);
        expect(tokens).toBeGreaterThan(3_000);
      }
      expect(models).toMatchObject([{ model: "llama", capacityTokens: 3_000n }]);
      expect(models[0]?.spareTokens).toBeLessThan(-10_000n);
    }, patient);
  }
  const text = await (await fetch(`${rig(0).opsUrl}/metrics`)).text();
  const read = (name: string, ...labels: readonly string[]) => {
    const line = text.split("\n").find((each) => each.startsWith(`${name}{${labels.join(",")}}`));
    return Number(line?.split(" ").at(-1));
  };
  const home = ['region="eu-west"', 'model="llama"'] as const;
  expect(read("meridian_control_pool_capacity_tokens", ...home)).toBe(1_000);
  expect(read("meridian_control_pool_demand_tokens", ...home)).toBeGreaterThan(10_000);
  expect(read("meridian_control_pool_pending_tokens", ...home)).toBe(0);
  const cell = ['region="eu-west"', 'to="us-east"', 'model="llama"'];
  expect(read("meridian_control_outflow_share", ...cell)).toBeGreaterThan(0.3);
  expect(read("meridian_control_model_spare_tokens", 'model="llama"')).toBeLessThan(-10_000);
});

test("a killed control plane is told as unreachable, then as gone, and its region's capacity fades", async () => {
  const states = proxyOf(0).states();
  await rig(2).program.kill();
  const before = await statusBy(0);
  const dead = before.controlPlanes.find((each) => each.id === "control-ap-south");
  expect(dead?.state).toBe("unreachable");
  await vi.waitFor(
    async () => {
      const { controlPlanes, regions } = await statusBy(0);
      expect(controlPlanes.map((each) => each.id)).not.toContain("control-ap-south");
      expect(regions.find((each) => each.name === "ap-south")?.state).toBe("unknown");
    },
    { timeout: 40_000, interval: 500 },
  );
  const row = await rowOf(states, (each) => each.get("ap-south") === 0, 60_000);
  expect(row.get("us-east")).toBeGreaterThan(400);
  await rig(2).program.start();
});

test("without etcd all is served on as stale, writes are refused, and all comes back with it", async () => {
  const version = formatVersion((await statusBy(0)).policy);
  const states = proxyOf(0).states();
  await etcd.member(0).kill();
  for (;;) {
    if (!(await states.next(20_000)).storeReachable) break;
  }
  const late = proxyOf(0);
  late.hello();
  expect(formatVersion((await late.pushes.next()).version)).toBe(version);
  await expect(rig(0).apply(testPolicy(99))).rejects.toMatchObject({ code: status.UNAVAILABLE });
  const stale = await statusBy(0);
  expect(stale.controlPlanes.find((each) => each.id === "control-eu-west")?.state).toBe("stale");
  expect(formatVersion(stale.policy)).toBe(version);
  const drain = callUnary(rig(0).operator, method.drain, {
    what: { case: "region", value: "us-east" },
    forSeconds: 60,
    reason: "test",
    force: true,
  });
  await expect(drain).rejects.toMatchObject({ code: status.UNAVAILABLE });

  await etcd.member(0).start();
  await etcd.member(0).ready();
  for (;;) {
    if ((await states.next(20_000)).storeReachable) break;
  }
  const applied = await rig(1).apply(testPolicy(100));
  expect(applied.version?.sequence).toBeGreaterThan(31n);
  late.accept({ ...(late.pushes.items[0] ?? (await late.pushes.next())) });
  expect(formatVersion((await late.pushes.next()).version)).toBe(formatVersion(applied.version));
});

test("all control planes together write less than five times a second", async () => {
  const writes = async () => {
    let sum = 0;
    for (const each of rigs) {
      const text = await (await fetch(`${each.opsUrl}/metrics`)).text();
      const found = /meridian_control_store_writes_total\{outcome="ok"\} (\d+)/.exec(text);
      sum += Number(found?.[1] ?? 0);
    }
    return sum;
  };
  const before = await writes();
  const at = performance.now();
  await vi.waitFor(() => expect(performance.now() - at).toBeGreaterThan(6_000), {
    timeout: 10_000,
    interval: 500,
  });
  const perSecond = ((await writes()) - before) / ((performance.now() - at) / 1_000);
  expect(perSecond).toBeGreaterThan(1);
  expect(perSecond).toBeLessThan(5);
});
