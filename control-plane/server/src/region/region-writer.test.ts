import { create } from "@bufbuild/protobuf";
import { createProxies, RegionLoads } from "@meridian/control-core/fleet";
import { RegionHealth } from "@meridian/control-core/health";
import { type Clock, ok, seededRandom } from "@meridian/proto/base";
import { RegionSchema } from "@meridian/proto/gen/policy_pb";
import { samplePolicy } from "@meridian/proto/policy-sample";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Published } from "../published.ts";
import { RegionView } from "./region-view.ts";
import { RegionWriter } from "./region-writer.ts";

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setInterval", "clearInterval", "setTimeout", "performance", "Date"],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const clock: Clock = { now: () => performance.now(), wall: () => Date.now() };
const regions = ["us-east", "eu-west", "ap-south"] as const;
const version = { $typeName: "meridian.v1.Version", epoch: 1n, sequence: 1n } as const;

/** The control plane of one region, with one proxy that reports what it is told to each second. */
function controlPlane(region: string, demand: () => number, keys: string[]) {
  const policy = {
    ...samplePolicy(),
    regions: regions.map((name) => create(RegionSchema, { name })),
  };
  const loads = new RegionLoads();
  loads.arrange(policy);
  const proxies = createProxies();
  const published: Published = { version, policy, snapshots: new Map() };
  const writer = new RegionWriter({
    store: {
      commit: async ({ operations }) => {
        keys.push(...operations.map((each) => each.key));
        return ok(keys.length);
      },
    },
    clock,
    id: `control-${region}`,
    regions: [region],
    proxies,
    loads,
    view: new RegionView(clock, () => undefined),
    health: new RegionHealth(),
    published: () => published,
    noteWrite: () => undefined,
  });
  const report = () => {
    const tokens = demand();
    const pools = ["llama-8b", "llama-70b"].map((model) => ({
      model,
      requests: 1,
      tokens,
      held: 0,
      heldTokens: tokens,
      sentAway: 0,
    }));
    const now = clock.now();
    const more = { stateAgeMs: 0, liveRequests: 0, draining: false, applied: version };
    proxies.report({ id: "p", region, build: "" }, { backends: [], pools, ...more }, now);
    loads.take(region, { backends: [], pools }, now);
  };
  const reporting = setInterval(report, 1_000);
  report();
  return {
    writer,
    stop: () => {
      clearInterval(reporting);
      return writer.close();
    },
  };
}

/** Keys written a second by the control planes of three regions, after their first ten seconds. */
async function writesPerSecond(demand: () => number): Promise<number> {
  const keys: string[] = [];
  const planes = regions.map((each) => controlPlane(each, demand, keys));
  await vi.advanceTimersByTimeAsync(10_000);
  keys.length = 0;
  await vi.advanceTimersByTimeAsync(60_000);
  const perSecond = keys.length / 60;
  await Promise.all(planes.map((each) => each.stop()));
  return perSecond;
}

test("three regions whose load jumps each second write less than five keys a second", async () => {
  const random = seededRandom("jumps");
  const perSecond = await writesPerSecond(() => random.integer(10) ** 6);
  expect(perSecond).toBeGreaterThan(2.5);
  expect(perSecond).toBeLessThan(5);
});

test("a load that only sways is no reason to write", async () => {
  const random = seededRandom("sways");
  // Heartbeats each two seconds, digests each ten.
  expect(await writesPerSecond(() => 9_000 + random.integer(2_000))).toBeLessThan(2);
});

test("a region's newest digest is there before it is written, of no other region", async () => {
  const keys: string[] = [];
  const plane = controlPlane(regions[0], () => 1_000, keys);
  expect(plane.writer.newest(regions[0])).toBeUndefined();
  await vi.advanceTimersByTimeAsync(500);
  expect(plane.writer.newest(regions[0])).toMatchObject({ region: regions[0], proxies: 1 });
  expect(plane.writer.newest(regions[1])).toBeUndefined();
  await plane.stop();
});
