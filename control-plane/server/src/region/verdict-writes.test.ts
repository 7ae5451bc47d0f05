import { create } from "@bufbuild/protobuf";
import { createProxies, RegionLoads } from "@meridian/control-core/fleet";
import { type BackendEvidence, RegionHealth } from "@meridian/control-core/health";
import { err, ok } from "@meridian/proto/base";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { samplePolicy } from "@meridian/proto/policy-sample";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Published } from "../published.ts";
import { keys } from "../store/keys.ts";
import type { Commit, Store } from "../store/store.ts";
import { RegionView } from "./region-view.ts";
import { RegionWriter } from "./region-writer.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

const blank: BackendEvidence = {
  name: "eu-a",
  succeeded: 0,
  failed: 0,
  connectFailed: 0,
  timed: 0,
  slow: 0,
  probes: 0,
  probesFailed: 0,
  canaries: 0,
  canariesWrong: 0,
  ejected: false,
  canaryTokensPerDay: 0,
  canaryVector: [],
};

function storeThat(commits: Commit[]): Store {
  const none = { kind: "invalid", message: "not in this test" } as const;
  return {
    get: async () => err(none),
    list: async () => err(none),
    commit: async (commit) => {
      commits.push(commit);
      return ok(commits.length);
    },
    watch: () => undefined,
    grantLease: async () => err(none),
    compact: async () => err(none),
    close: async () => undefined,
  };
}

function textOf(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}

/** The control plane of one region, with one proxy that reports. */
function open(region: string) {
  const commits: Commit[] = [];
  let now = 0;
  const clock = { now: () => now, wall: () => 1_700_000_000_000 + now };
  const proxies = createProxies();
  const view = new RegionView(clock, () => undefined);
  const health = new RegionHealth((name) => view.signs.digest(name)?.verdicts);
  const policy = samplePolicy();
  health.arrange(policy);
  const published: Published = {
    version: create(VersionSchema, { epoch: 1n, sequence: 1n }),
    policy,
    snapshots: new Map(),
  };
  const writer = new RegionWriter({
    store: storeThat(commits),
    clock,
    id: `control-${region}`,
    regions: [region],
    proxies,
    loads: new RegionLoads(),
    view,
    health,
    published: () => published,
    noteWrite: () => undefined,
  });
  const reports = (
    id: string,
    backends: readonly (BackendEvidence & { inFlight: number; pendingTokens: number })[] = [],
  ) => {
    const node = { id, region, build: "" };
    const more = { pools: [], stateAgeMs: 0, liveRequests: 0, draining: false };
    proxies.report(node, { backends, ...more, applied: published.version }, now);
    health.take(node, backends, now);
  };
  /** Half a second: a report each full one, and whatever else happens. */
  const halfSeconds = async (
    count: number,
    evidence: Partial<BackendEvidence> = {},
    happens: (at: number) => void = () => undefined,
  ) => {
    for (let each = 0; each < count; each++) {
      now += 500;
      happens(now);
      if (now % 1_000 === 0) {
        reports("p", [{ ...blank, inFlight: 0, pendingTokens: 0, ...evidence }]);
        health.tick(now);
      }
      await vi.advanceTimersByTimeAsync(500);
    }
  };
  const digests = () =>
    commits.flatMap(({ operations }) =>
      operations.flatMap((each) =>
        each.kind === "put" && each.key === keys.digest(region) ? [textOf(each.value)] : [],
      ),
    );
  return { commits, writer, halfSeconds, reports, digests };
}

test("whatever changes how often, three regions write no more than five times a second", async () => {
  const planes = ["us-east", "eu-west", "ap-south"].map(open);
  for (const { halfSeconds, reports } of planes) {
    // One proxy more each half second: no digest is like the one before.
    await halfSeconds(80, {}, (at) => {
      for (let each = 0; each < at / 500; each++) reports(`p${each}`);
    });
  }
  const writes = planes.map((each) => each.commits.length / 40);
  for (const each of writes) expect(each).toBeGreaterThan(0.9);
  expect(writes.reduce((sum, each) => sum + each)).toBeLessThanOrEqual(5);
  await Promise.all(planes.map((each) => each.writer.close()));
});

test("where nothing changes a region writes its heartbeat each two seconds and its digest each ten", async () => {
  const { commits, digests, halfSeconds, writer } = open("eu-west");
  await halfSeconds(120, { succeeded: 10 });
  expect(commits.length).toBeGreaterThanOrEqual(29);
  expect(commits.length).toBeLessThanOrEqual(37);
  expect(digests().length).toBeGreaterThanOrEqual(6);
  expect(digests().length).toBeLessThanOrEqual(7);
  await writer.close();
});

test("a verdict is written within a second, its growing evidence with the next digest alone", async () => {
  const { digests, halfSeconds, writer } = open("eu-west");
  await halfSeconds(8, { succeeded: 10 });
  const before = digests().length;
  // Slow beyond measure: degraded from the second second on, and each one adds to the evidence.
  await halfSeconds(12, { succeeded: 10, timed: 10, slow: 10 });
  const told = digests().slice(before);
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(
    /"backend":"eu-a","verdict":"degraded","signal":"slow","n":\d+,"bad":\d+/,
  );
  await halfSeconds(24, { succeeded: 10, timed: 10, slow: 10 });
  expect(digests().length - before).toBeGreaterThanOrEqual(2);
  expect(digests().length - before).toBeLessThanOrEqual(3);
  await writer.close();
});
