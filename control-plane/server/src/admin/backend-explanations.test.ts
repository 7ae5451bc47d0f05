import { create } from "@bufbuild/protobuf";
import { createRegionSigns } from "@meridian/control-core/fleet";
import { type BackendEvidence, RegionHealth } from "@meridian/control-core/health";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { samplePolicy } from "@meridian/proto/policy-sample";
import { expect, test } from "vitest";
import { BackendExplanations } from "./backend-explanations.ts";

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

function open() {
  const policy = samplePolicy();
  const health = new RegionHealth();
  health.arrange(policy);
  const signs = createRegionSigns();
  const time = { now: 60_000 };
  const explanations = new BackendExplanations({
    id: "control-us",
    clock: { now: () => time.now, wall: () => 1_000_000 + time.now },
    health,
    signs,
    published: () => ({
      version: create(VersionSchema, { epoch: 1n, sequence: 1n }),
      policy,
      snapshots: new Map(),
    }),
    // The other region's control plane does not answer.
    peers: { ask: async (rows) => rows.map((row) => ({ row, answer: undefined })) },
    others: () => [{ id: "control-eu", region: "eu-west", address: "127.0.0.1:9", build: "" }],
  });
  const explain = async (name: string) => {
    const answer = await explanations.explain({
      $typeName: "meridian.v1.ExplainBackendRequest",
      name,
      localOnly: false,
    });
    return answer.kind === "ok" ? answer.value : answer.error.details;
  };
  return { health, signs, time, explain };
}

test("who judges a backend tells its verdict, its history, each signal and what would change it", async () => {
  const { explain, health, time } = open();
  for (let second = 0; second < 4; second++) {
    time.now += 1_000;
    health.take({ id: "p", region: "eu-west" }, [{ ...blank, succeeded: 4, failed: 6 }], time.now);
    health.tick(time.now);
  }
  expect(await explain("eu-a")).toMatchObject({
    report: {
      verdict: "unhealthy",
      phase: "out",
      controlPlane: "control-us",
      share: 0,
      ejections: 1,
      history: [{ verdict: "unhealthy", atMs: 1_062_000n }],
      signals: [
        { signal: "failure" },
        { signal: "slow" },
        { signal: "wrong" },
        { signal: "outage", alarmed: true },
        { signal: "probe" },
      ],
    },
  });
  const told = await explain("eu-a");
  const { report } = typeof told === "string" ? { report: undefined } : told;
  const outage = report?.signals[3];
  expect(Number(outage?.bad) / Number(outage?.n)).toBeCloseTo(0.6);
  expect(outage?.low).toBeLessThan(0.6);
  expect(outage?.high).toBeGreaterThan(0.6);
  expect(report?.outlook).toHaveLength(2);
});

test("where nobody who judges it answers, what its region told last is told, with its evidence", async () => {
  const { explain, signs, time } = open();
  signs.see("eu-west", time.now - 4_000);
  signs.setDigest({
    region: "eu-west",
    proxies: 1,
    pools: [],
    verdicts: [
      {
        backend: "eu-a",
        verdict: "unhealthy",
        signal: "outage",
        n: 12,
        bad: 8,
        sinceMs: 1_050_000,
        ejections: 2,
        reason: "8 of 12 requests failed",
      },
    ],
  });
  expect(await explain("eu-a")).toMatchObject({
    report: {
      verdict: "unhealthy",
      phase: "told",
      controlPlane: "the last digest of eu-west",
      reason: "8 of 12 requests failed",
      sinceMs: 1_050_000n,
      heardMs: 4_000,
      signals: [{ signal: "outage", n: 12n, bad: 8n, alarmed: true }],
    },
    unreachedControlPlanes: ["control-eu"],
  });
  expect(await explain("eu-spare")).toMatchObject({
    report: { verdict: "healthy", reason: "nothing was told against it" },
  });
});

test("of a region that never told anything there is no verdict, and of no backend none", async () => {
  const { explain } = open();
  expect(await explain("us-a")).toMatchObject({ unreachedControlPlanes: ["control-eu"] });
  expect(await explain("us-a")).not.toHaveProperty("report.verdict");
  expect(await explain("nobody")).toMatch(/no backend "nobody"/);
});
