import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { StateFrameSchema, Verdict } from "@meridian/proto/gen/sync_pb";
import { samplePolicy } from "@meridian/proto/policy-sample";
import { expect, test } from "vitest";
import { type DrainOrder, drainsAt } from "../drain/index.ts";
import { RegionHealth } from "../health/index.ts";
import { createRegionSigns } from "./region-signs.ts";
import { makeStateFrame, type StateSource } from "./state-frame.ts";

const wall = 1_700_000_000_000;
const drain = (kind: "region" | "backend", name: string, leftMs: number): DrainOrder => ({
  target: { kind, name },
  untilMs: wall + leftMs,
  reason: "",
  author: "",
});
const pool = (model: string, available: number, backends = 2) => ({
  model,
  backends,
  available,
  capacity: 0,
  demand: 0,
  pending: 0,
});

const noEvidence = {
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

function source(more: Partial<StateSource> = {}): StateSource {
  return {
    policy: samplePolicy(),
    version: create(VersionSchema, { epoch: 1n, sequence: 42n }),
    signs: createRegionSigns(),
    drains: drainsAt([], wall),
    judged: () => undefined,
    outflows: () => [],
    storeReachable: true,
    ...more,
  };
}
const view = { region: "eu-west", sequence: 9n, now: 5_000, wall };

test("a frame says something of every region, even before anything was heard of it", () => {
  const frame = makeStateFrame(source(), view);
  expect(frame).toMatchObject({
    sequence: 9n,
    policy: { epoch: 1n, sequence: 42n },
    storeReachable: true,
    backends: [],
  });
  expect(frame.regions).toMatchObject([
    {
      name: "us-east",
      draining: false,
      ageMs: 4_294_967_295,
      pools: [
        { model: "llama-70b", backends: 1, available: 1, capacityTokens: 0 },
        { model: "llama-8b", backends: 1, available: 1, capacityTokens: 0 },
      ],
    },
    { name: "eu-west", pools: [{ model: "llama-70b", backends: 1 }, { model: "llama-8b" }] },
  ]);
});

test("what a digest says goes into the frame, with its age; models that the policy has no longer don't", () => {
  const signs = createRegionSigns();
  signs.see("us-east", 4_000);
  const pools = [pool("llama-70b", 0), pool("gone", 2)];
  signs.setDigest({ region: "us-east", proxies: 3, pools, verdicts: [] });
  const [usEast] = makeStateFrame(source({ signs }), view).regions;
  expect(usEast).toMatchObject({
    ageMs: 1_000,
    proxies: 3,
    pools: [
      { model: "llama-70b", backends: 2, available: 0, capacityTokens: 0 },
      { model: "llama-8b", backends: 1, available: 1, capacityTokens: 0 },
    ],
  });
});

test("loads of pools are told of every region, the table's row of the own one alone", () => {
  const signs = createRegionSigns();
  const load = { capacity: 9_000, demand: 2_000, pending: 50 };
  const pools = [{ ...pool("llama-70b", 1), ...load }];
  signs.setDigest({ region: "us-east", proxies: 3, pools, verdicts: [] });
  const rows = new Map([
    ["eu-west", [{ model: "llama-70b", region: "us-east", share: 0.2501 }]],
    ["us-east", [{ model: "llama-70b", region: "eu-west", share: 1 }]],
  ]);
  const outflows = (home: string) => rows.get(home) ?? [];
  const frame = makeStateFrame(source({ signs, outflows }), view);
  expect(frame.regions[0]?.pools[0]).toMatchObject({
    capacityTokens: 9_000,
    demandTokens: 2_000,
    pendingTokens: 50,
  });
  expect(frame.outflows).toMatchObject([{ model: "llama-70b", region: "us-east", share: 251 }]);
});

test("drains are told with what is left of them; of backends only the own region's", () => {
  const drains = drainsAt(
    [
      drain("region", "us-east", 5_000),
      drain("backend", "us-a", 5_000),
      drain("backend", "eu-a", 700),
    ],
    wall,
  );
  const frame = makeStateFrame(source({ drains }), view);
  expect(frame.regions.map((each) => [each.draining, each.drainLeftMs])).toEqual([
    [true, 5_000],
    [false, 0],
  ]);
  expect(frame.backends).toMatchObject([{ name: "eu-a", draining: true, drainLeftMs: 700 }]);
});

test("verdicts are told with the share, and who probes", () => {
  const health = new RegionHealth();
  health.arrange(samplePolicy());
  for (let second = 1; second <= 3; second++) {
    const now = second * 1_000;
    const seen = { ...noEvidence, failed: second < 3 ? 10 : 0 };
    health.take({ id: "proxy-eu-1", region: "eu-west" }, [seen], now);
    health.tick(now);
  }
  const judged = (name: string) => health.backend(name, 3_000);
  const frame = makeStateFrame(source({ judged }), { ...view, now: 3_000 });
  expect(frame.backends).toMatchObject([
    { name: "eu-a", verdict: Verdict.unhealthy, share: 0, probers: ["proxy-eu-1"] },
  ]);
});

test("a frame survives its encoding", () => {
  const drains = drainsAt([drain("region", "us-east", 5_000)], wall);
  const frame = makeStateFrame(source({ drains, storeReachable: false }), view);
  expect(fromBinary(StateFrameSchema, toBinary(StateFrameSchema, frame))).toEqual(frame);
});
