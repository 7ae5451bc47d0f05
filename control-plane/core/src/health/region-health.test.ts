import { samplePolicy } from "@meridian/proto/policy-sample";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type BackendEvidence,
  evidenceOf,
  outlookOf,
  RegionHealth,
  regionHealthLimits,
} from "./index.ts";

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

const one = { id: "proxy-eu-1", region: "eu-west" };
const two = { id: "proxy-eu-2", region: "eu-west" };

function judge(): RegionHealth {
  const health = new RegionHealth();
  health.arrange(samplePolicy());
  return health;
}

/** Seconds in which each reporter reports the same. */
function run(
  health: RegionHealth,
  seconds: number,
  more: Partial<BackendEvidence>,
  { from = 0, reporters = [one] } = {},
): number {
  let now = from * 1_000;
  for (let each = 0; each < seconds; each++) {
    now += 1_000;
    for (const reporter of reporters) health.take(reporter, [{ ...blank, ...more }], now);
    health.tick(now);
  }
  return now;
}

test("without reports there is no verdict, and an old one does not stand", () => {
  const health = judge();
  health.tick(1_000);
  expect(health.backend("eu-a", 1_000)).toBeUndefined();
  const now = run(health, 3, { succeeded: 10 });
  expect(health.backend("eu-a", now)?.verdict).toBe("healthy");
  expect(health.backend("eu-a", now + regionHealthLimits.judgeMs)).toBeUndefined();
  expect(health.backend("nobody", now)).toBeUndefined();
});

test("what one proxy alone sees is weighed against what all see", () => {
  const health = judge();
  for (let second = 1; second <= 30; second++) {
    const now = second * 1_000;
    health.take(one, [{ ...blank, ejected: true }], now);
    for (let each = 2; each <= 20; each++) {
      health.take({ id: `p${each}`, region: "eu-west" }, [{ ...blank, succeeded: 10 }], now);
    }
    health.tick(now);
  }
  expect(health.backend("eu-a", 30_000)?.verdict).toBe("healthy");
  const alone = judge();
  expect(alone.backend("eu-a", run(alone, 3, { ejected: true }))?.verdict).toBe("unhealthy");
});

test("a proxy tells nothing about another region's backends", () => {
  const health = judge();
  const stranger = { id: "proxy-us-1", region: "us-east" };
  const now = run(health, 5, { failed: 50 }, { reporters: [stranger] });
  expect(health.backend("eu-a", now)).toBeUndefined();
});

test("changes are told once, with their reason, and remembered newest first", () => {
  const health = judge();
  const seen: string[] = [];
  for (let second = 1; second <= 200; second++) {
    const now = second * 1_000;
    const report = second <= 5 ? { failed: 10 } : { succeeded: 10, probes: 2, canaries: 1 };
    health.take(one, [{ ...blank, ...report }], now);
    seen.push(...health.tick(now).map((each) => each.verdict));
  }
  expect(seen[0]).toBe("unhealthy");
  expect(seen.at(-1)).toBe("healthy");
  const history = health.history("eu-a");
  expect(history[0]?.verdict).toBe("healthy");
  expect(history.at(-1)?.reason).toMatch(/of \d+ requests failed/);
});

test("two of the region's proxies probe a backend, others when one falls silent", () => {
  const health = judge();
  const crew = [one, two, { id: "proxy-eu-3", region: "eu-west" }];
  const now = run(health, 2, { succeeded: 1 }, { reporters: crew });
  const probers = health.backend("eu-a", now)?.probers ?? [];
  expect(probers).toHaveLength(2);
  const rest = crew.filter((each) => each.id !== probers[0]);
  const later = run(health, 8, { succeeded: 1 }, { reporters: rest, from: 2 });
  const after = health.backend("eu-a", later)?.probers ?? [];
  expect(after).toHaveLength(2);
  expect(after).toContain(probers[1]);
  expect(after).not.toContain(probers[0]);
});

test("the first vector of a canary is the one that later ones are held against", () => {
  const health = judge();
  run(health, 1, { canaryVector: [1, 0] });
  const now = run(health, 1, { canaryVector: [0, 1] }, { from: 1, reporters: [two] });
  expect(health.backend("eu-a", now)?.canaryVector).toEqual([1, 0]);
});

test("what canaries cost is summed over the proxies that ask them", () => {
  const health = judge();
  const now = run(health, 2, { canaryTokensPerDay: 300_000 }, { reporters: [one, two] });
  expect(health.backend("eu-a", now)?.canaryTokensPerDay).toBe(600_000);
  const later = run(health, 8, { canaryTokensPerDay: 0 }, { from: 2 });
  expect(health.backend("eu-a", later)?.canaryTokensPerDay).toBe(0);
});

test("a new policy keeps verdicts, and forgets backends that are gone or moved", () => {
  const health = judge();
  const now = run(health, 5, { failed: 10 });
  const changed = samplePolicy();
  for (const each of changed.backends) each.weight = 3;
  health.arrange(changed);
  expect(health.backend("eu-a", now)?.verdict).toBe("unhealthy");
  changed.backends = changed.backends.filter((each) => each.name !== "eu-a");
  health.arrange(changed);
  expect(health.backend("eu-a", now)).toBeUndefined();
});

test("policies that come into force at any time change no verdict, nor what it rests on", () => {
  const second = fc.record({
    succeeded: fc.nat({ max: 9 }),
    failed: fc.nat({ max: 9 }),
    probes: fc.constant(2),
    probesFailed: fc.nat({ max: 2 }),
  });
  const step = fc.record({ second, arrives: fc.boolean(), weight: fc.integer({ min: 1, max: 9 }) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const [plain, changing] = [judge(), judge()];
      let now = 0;
      for (const { second: counts, arrives, weight } of steps) {
        const policy = samplePolicy();
        for (const each of policy.backends) each.weight = weight;
        if (arrives) changing.arrange(policy);
        run(plain, 1, counts, { from: now });
        run(changing, 1, counts, { from: now });
        now += 1;
      }
      const held = (of: RegionHealth) => of.backend("eu-a", now * 1_000)?.health;
      expect(held(changing)).toEqual(held(plain));
      expect(changing.history("eu-a")).toEqual(plain.history("eu-a"));
    }),
  );
});

test("more failures never make a verdict better, whoever reports them", () => {
  const rank = { healthy: 0, degraded: 1, unhealthy: 2 };
  const second = fc.record({ succeeded: fc.nat({ max: 9 }), failed: fc.nat({ max: 9 }) });
  fc.assert(
    fc.property(fc.array(second, { maxLength: 40 }), second, fc.nat(9), (before, last, more) => {
      const [plain, worse] = [judge(), judge()];
      let now = 0;
      for (const each of before) {
        run(plain, 1, each, { from: now });
        run(worse, 1, each, { from: now });
        now += 1;
      }
      const at = run(plain, 1, last, { from: now });
      worse.take(two, [{ ...blank, failed: more }], at);
      run(worse, 1, last, { from: now });
      const rankOf = (of: RegionHealth) => rank[of.backend("eu-a", at)?.verdict ?? "healthy"];
      expect(rankOf(worse)).toBeGreaterThanOrEqual(rankOf(plain));
    }),
  );
});

test("proxies that have not heard of a return yet do not undo it", () => {
  const health = judge();
  let now = run(health, 3, { failed: 10 });
  now = run(health, 40, { probes: 2, canaries: 1, ejected: true }, { from: now / 1_000 });
  const back = health.backend("eu-a", now);
  expect(back?.health.phase === "returning" || back?.health.ejections === 2).toBe(true);
  expect(health.history("eu-a").length).toBeGreaterThan(1);
});

test("merging the reports of a second in any order gives the same verdicts", () => {
  const report = fc.record({
    name: fc.constantFrom("eu-a", "eu-spare"),
    succeeded: fc.nat({ max: 20 }),
    failed: fc.nat({ max: 20 }),
    slow: fc.nat({ max: 5 }),
    ejected: fc.boolean(),
  });
  const second = fc.array(report, { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(second, { minLength: 1, maxLength: 20 }), (seconds) => {
      const forward = judge();
      const backward = judge();
      let now = 0;
      for (const reports of seconds) {
        now += 1_000;
        const each = reports.map((given, place) => ({
          reporter: { id: `p${place}`, region: "eu-west" },
          evidence: { ...blank, ...given, timed: given.slow + given.succeeded },
        }));
        for (const { reporter, evidence } of each) forward.take(reporter, [evidence], now);
        for (const { reporter, evidence } of each.reverse()) {
          backward.take(reporter, [evidence], now);
        }
        const told = (of: RegionHealth) => of.tick(now).map((one) => `${one.name} ${one.verdict}`);
        expect(told(backward)).toEqual(told(forward));
      }
    }),
  );
});

test("one that is out is told when it may prove itself, and how; one that does, what it lacks", () => {
  const health = judge();
  let now = run(health, 3, { failed: 10 });
  const told = () => {
    const found = health.backend("eu-a", now);
    return found === undefined ? [] : outlookOf(found.health, health.tests, now);
  };
  expect(told()).toEqual([
    "it is let prove itself in 9 s",
    "then 34 good probes or requests in a row let it return",
  ]);
  now = run(health, 10, {}, { from: now / 1_000 });
  now = run(health, 4, { probes: 2 }, { from: now / 1_000 });
  now = run(health, 1, { failed: 1 }, { from: now / 1_000 });
  expect(told()[0]).toBe(
    "38 more good probes or requests in a row let it return, 12 of them requests, " +
      "with 3 right canaries where it has one",
  );
});

test("the explanation says what holds a verdict and what would change it", () => {
  const health = judge();
  const calm = health.backend("eu-a", run(health, 3, { succeeded: 10, timed: 10 }));
  if (calm === undefined) throw new Error("there is a verdict");
  expect(outlookOf(calm.health, health.tests, 3_000).join("\n")).toMatch(
    /\d+ failed requests, one each second, would make it unhealthy/,
  );
  const now = run(health, 6, { succeeded: 10, timed: 10, slow: 9 }, { from: 3 });
  const slow = health.backend("eu-a", now);
  if (slow === undefined) throw new Error("there is a verdict");
  const evidence = evidenceOf(slow.health, health.tests, now).find(
    (each) => each.signal === "slow",
  );
  expect(evidence).toMatchObject({ n: 60, bad: 54, isAlarmed: true });
  expect(evidence?.low).toBeGreaterThan(0.75);
  expect(outlookOf(slow.health, health.tests, now).join("\n")).toMatch(
    /first tokens in time and \d+ s make it healthy again/,
  );
});
