import { samplePolicy } from "@meridian/proto/policy-sample";
import fc from "fast-check";
import { expect, test } from "vitest";
import { drainsAt } from "../drain/index.ts";
import {
  createProxies,
  digestRegion,
  parseDigest,
  type RegionDigest,
  RegionLoads,
} from "../fleet/index.ts";
import { type BackendEvidence, RegionHealth, type Reporter } from "./index.ts";

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
const reporter: Reporter = { id: "proxy-eu-1", region: "eu-west" };
const policy = samplePolicy();

function judge(recall?: ConstructorParameters<typeof RegionHealth>[0]): RegionHealth {
  const health = new RegionHealth(recall);
  health.arrange(policy);
  return health;
}

function run(health: RegionHealth, seconds: readonly Partial<BackendEvidence>[], from = 0): number {
  let now = from;
  for (const second of seconds) {
    now += 1_000;
    health.take(reporter, [{ ...blank, ...second }], now);
    health.tick(now);
  }
  return now;
}

/** What the region's digest holds of it, as another process reads it out of the store. */
function stored(health: RegionHealth, now: number, former?: RegionDigest): RegionDigest {
  const from = {
    policy,
    proxies: createProxies(),
    loads: new RegionLoads(),
    drains: drainsAt([], 0),
    judged: (name: string) => health.backend(name, now),
    former,
    wall: 1_700_000_000_000 + now,
  };
  const written: unknown = JSON.parse(JSON.stringify(digestRegion("eu-west", from, now)));
  const read = parseDigest("eu-west", written);
  if (read.kind === "err") throw new Error(read.error.message);
  return read.value;
}

const failing = { succeeded: 4, failed: 6 };
const slow = { succeeded: 10, timed: 10, slow: 10 };
const few = (count: number, second: Partial<BackendEvidence>) => Array(count).fill(second);

test("a note names the evidence that speaks, with its numbers and its time", () => {
  const health = judge();
  const now = run(health, [...few(20, { succeeded: 10, timed: 10 }), ...few(6, slow)]);
  expect(stored(health, now).verdicts).toMatchObject([
    { backend: "eu-a", verdict: "degraded", signal: "slow", n: 60, bad: 60 },
  ]);
  expect(stored(health, now).verdicts[0]?.sinceMs).toBe(1_700_000_000_000 + 21_000);
  const later = run(health, few(4, failing), now);
  expect(stored(health, later).verdicts).toMatchObject([
    { verdict: "unhealthy", signal: "outage", ejections: 1, reason: expect.stringMatching(/\d/) },
  ]);
});

test("a control plane that starts anew holds out what was held out, until it proves itself", () => {
  const former = judge();
  const now = run(former, few(5, failing));
  const digest = stored(former, now);
  const health = judge(() => digest.verdicts);
  // Before the first tick, too: frames and digests are made at any time.
  health.take(reporter, [blank], now);
  expect(health.backend("eu-a", now)?.verdict).toBe("unhealthy");
  expect(health.tick(now)).toMatchObject([{ name: "eu-a", verdict: "unhealthy" }]);
  expect(health.history("eu-a")[0]?.reason).toMatch(/^as told before: \d+ of \d+ requests failed$/);
  expect(health.backend("eu-a", now)?.isProving).toBe(true);
  const proved = run(health, few(20, { probes: 2 }), now);
  // The sample policy gives it a canary: without three right ones it stays out.
  expect(health.backend("eu-a", proved)?.verdict).toBe("unhealthy");
  const back = run(health, few(3, { probes: 2, canaries: 1 }), proved);
  expect(health.backend("eu-a", back)?.verdict).toBe("healthy");
  expect(health.backend("eu-a", back)?.share).toBeLessThan(0.2);
});

test("what was told before is shown with its numbers, and is no trouble of now", () => {
  const former = judge();
  const now = run(former, few(5, failing));
  const { verdicts } = stored(former, now);
  const health = judge(() => verdicts);
  run(health, [{}], now);
  const found = health.backend("eu-a", now + 1_000)?.health.signals.outage;
  const n = verdicts[0]?.n;
  expect(found).toMatchObject({ n, bad: verdicts[0]?.bad, alarmedAt: Number.NEGATIVE_INFINITY });
  expect(n).toBeGreaterThan(9);
  // And told on, should this judge be restarted as well.
  expect(stored(health, now + 1_000).verdicts).toMatchObject([
    { signal: "outage", n, bad: verdicts[0]?.bad },
  ]);
});

test("a second failure after the restart lasts as long as if there had been none", () => {
  const former = judge();
  const now = run(former, few(5, failing));
  const { verdicts } = stored(former, now);
  const health = judge(() => verdicts);
  run(health, [{ probes: 4, probesFailed: 4 }, ...few(2, { probes: 4, probesFailed: 4 })], now);
  const found = health.backend("eu-a", now + 3_000)?.health;
  expect(found).toMatchObject({ phase: "out", ejections: 2 });
});

test("proxies that come back from another control plane bring no forgotten verdict back to life", () => {
  const told: { verdicts: RegionDigest["verdicts"] | undefined } = { verdicts: undefined };
  const health = judge(() => told.verdicts);
  const now = run(health, few(5, failing));
  // Elsewhere it has recovered meanwhile, and the region's digest says so.
  told.verdicts = [];
  health.take(reporter, [blank], now + 60_000);
  expect(health.backend("eu-a", now + 60_000)?.verdict).toBe("healthy");
});

test("without a digest what was known here holds on", () => {
  const health = judge();
  const now = run(health, few(5, failing));
  health.take(reporter, [blank], now + 60_000);
  expect(health.backend("eu-a", now + 60_000)?.verdict).toBe("unhealthy");
});

test("a digest keeps what it says of backends that nobody judges", () => {
  const former = judge();
  const now = run(former, few(5, failing));
  const digest = stored(former, now);
  const silent = judge();
  expect(stored(silent, now, digest).verdicts).toEqual(digest.verdicts);
});

test("whatever came before, a restart changes no verdict", () => {
  const second = fc.record({
    succeeded: fc.nat({ max: 10 }),
    failed: fc.nat({ max: 10 }),
    timed: fc.constant(10),
    slow: fc.nat({ max: 10 }),
    probes: fc.constant(2),
    probesFailed: fc.nat({ max: 2 }),
    canaries: fc.constant(1),
    canariesWrong: fc.nat({ max: 1 }),
  });
  const quiet = fc.constant({ succeeded: 10, timed: 10, probes: 2 });
  fc.assert(
    fc.property(fc.array(fc.oneof(second, quiet), { minLength: 1, maxLength: 40 }), (seconds) => {
      const former = judge();
      const now = run(former, seconds);
      const { verdicts } = stored(former, now);
      const health = judge(() => verdicts);
      health.take(reporter, [blank], now);
      expect(health.backend("eu-a", now)?.verdict).toBe(former.backend("eu-a", now)?.verdict);
    }),
  );
});
