import fc from "fast-check";
import { expect, test } from "vitest";
import { type Random, seededRandom } from "../base/index.ts";
import { meanEventsToAlarm } from "../stats/index.ts";
import {
  addCounts,
  deriveTests,
  eventsPerFalseAlarm,
  type HealthCounts,
  type HealthTimes,
  type HealthVerdict,
  healthTimes,
  newBackendHealth,
  noCounts,
  shareOf,
  signals,
  tickHealth,
  verdictOf,
} from "./index.ts";
import { alone, counts, fleet, fresh, run, tests } from "./test-ticks.ts";

const good = counts({ requests: 10, timed: 10, probes: 2 });

test("each threshold keeps the promised rate of false alarms, and a lower one would not", () => {
  for (const signal of signals) {
    const usual = { failure: 0.01, slow: 0.05, wrong: 0.002, outage: 0.01, probe: 0.01 }[signal];
    const promised = eventsPerFalseAlarm(signal, fleet);
    expect(meanEventsToAlarm(tests[signal], usual)).toBeGreaterThanOrEqual(promised);
    const lower = { ...tests[signal], h: tests[signal].h - 0.3 };
    // What a single tick can add is the floor, however few alarms that makes.
    if (lower.h > 7.5) expect(meanEventsToAlarm(lower, usual)).toBeLessThan(promised);
  }
});

test("a larger fleet, or fewer false alarms, makes thresholds higher", () => {
  const larger = deriveTests({ backends: 1_000, falseAlarmsPerMonth: 1 });
  const stricter = deriveTests({ backends: 60, falseAlarmsPerMonth: 0.01 });
  for (const signal of signals) {
    expect(larger[signal].h).toBeGreaterThanOrEqual(tests[signal].h);
    expect(stricter[signal].h).toBeGreaterThanOrEqual(tests[signal].h);
  }
});

test("a dead backend is out in two ticks, never in one", () => {
  const dead = counts({ requests: 40, failed: 40, connectFailed: 40 });
  expect(
    verdictOf(
      run(fresh, 1, () => dead),
      healthTimes,
      1_000,
    ),
  ).not.toBe("unhealthy");
  expect(
    verdictOf(
      run(fresh, 2, () => dead),
      healthTimes,
      2_000,
    ),
  ).toBe("unhealthy");
});

test("proxies that hold it out are evidence where requests no longer come", () => {
  const held = counts({ ejectedBy: 2 });
  expect(
    verdictOf(
      run(fresh, 3, () => held),
      healthTimes,
      3_000,
    ),
  ).toBe("unhealthy");
});

test("slowness alone degrades and never ejects", () => {
  const slow = counts({ requests: 10, timed: 10, slow: 10, probes: 2 });
  const health = run(fresh, 600, () => slow);
  expect(verdictOf(health, healthTimes, 600_000)).toBe("degraded");
  expect(shareOf(health, healthTimes, 600_000)).toBe(0.5);
});

test("what degrades a backend holds for a minute, and until good events have spoken", () => {
  const ill = run(fresh, 5, () => counts({ requests: 10, timed: 10, slow: 8 }));
  expect(
    verdictOf(
      run(ill, 50, () => good, { from: 5 }),
      healthTimes,
      55_000,
    ),
  ).toBe("degraded");
  expect(
    verdictOf(
      run(ill, 70, () => good, { from: 5 }),
      healthTimes,
      75_000,
    ),
  ).toBe("healthy");
  // Without events nothing is learned.
  expect(
    verdictOf(
      run(ill, 900, () => noCounts, { from: 5 }),
      healthTimes,
      905_000,
    ),
  ).toBe("degraded");
});

test("three wrong answers in a row take it out; two and a right one do not", () => {
  const wrong = counts({ canaries: 1, canariesWrong: 1 });
  const right = counts({ canaries: 1 });
  expect(
    verdictOf(
      run(fresh, 3, () => wrong),
      healthTimes,
      3_000,
    ),
  ).toBe("unhealthy");
  const mixed = run(fresh, 3, (second) => (second === 3 ? right : wrong));
  expect(verdictOf(mixed, healthTimes, 3_000)).not.toBe("unhealthy");
});

test("a passing probe never clears what requests say", () => {
  const odd = counts({ requests: 10, failed: 10, probes: 20 });
  expect(
    verdictOf(
      run(fresh, 3, () => odd),
      healthTimes,
      3_000,
    ),
  ).toBe("unhealthy");
});

test("probes of ten seconds ago say nothing, however many failed", () => {
  const failed = counts({ probes: 2, probesFailed: 2 });
  const nearly = run(fresh, 2, () => failed);
  expect(nearly.signals.probe.sum).toBeGreaterThan(7);
  const soon = run(nearly, 1, () => failed, { from: 11 });
  expect(verdictOf(soon, healthTimes, 12_000)).toBe("unhealthy");
  const late = run(
    run(nearly, 11, () => noCounts, { from: 2 }),
    1,
    () => failed,
    { from: 13 },
  );
  expect(verdictOf(late, healthTimes, 14_000)).toBe("healthy");
  expect(late.signals.probe).toMatchObject({ n: 2, bad: 2 });
});

test("a canary that the policy no longer has holds nobody", () => {
  const context = { ...alone, hasCanary: true, mayEject: false };
  const wrong = counts({ canaries: 1, canariesWrong: 1 });
  const held = run(fresh, 5, () => wrong, { context });
  expect(verdictOf(held, healthTimes, 5_000)).toBe("degraded");
  const without = run(held, 61, () => good, { from: 5 });
  expect(verdictOf(without, healthTimes, 66_000)).toBe("healthy");
});

// --- properties ---

const someCounts: fc.Arbitrary<HealthCounts> = fc
  .record({
    requests: fc.nat({ max: 30 }),
    failed: fc.nat({ max: 30 }),
    timed: fc.nat({ max: 30 }),
    slow: fc.nat({ max: 30 }),
    probes: fc.nat({ max: 3 }),
    probesFailed: fc.nat({ max: 3 }),
    canaries: fc.nat({ max: 1 }),
    canariesWrong: fc.nat({ max: 1 }),
    ejectedBy: fc.nat({ max: 1 }),
  })
  .map((each) => ({
    ...each,
    connectFailed: 0,
    failed: Math.min(each.failed, each.requests),
    slow: Math.min(each.slow, each.timed),
    probesFailed: Math.min(each.probesFailed, each.probes),
    canariesWrong: Math.min(each.canariesWrong, each.canaries),
  }));
const history = fc.array(someCounts, { maxLength: 60 });
const rank: { readonly [V in HealthVerdict]: number } = { healthy: 0, degraded: 1, unhealthy: 2 };

test("more evidence of failure never makes a verdict better", () => {
  const worse: readonly (keyof HealthCounts)[] = ["requests", "timed", "probes", "canaries"];
  const bad = {
    requests: "failed",
    timed: "slow",
    probes: "probesFailed",
    canaries: "canariesWrong",
  };
  fc.assert(
    fc.property(history, someCounts, fc.constantFrom(...worse), (before, last, more) => {
      const start = run(fresh, before.length, (second) => before[second - 1] ?? noCounts);
      const now = (before.length + 1) * 1_000;
      const kind = bad[more as keyof typeof bad] as keyof HealthCounts;
      const added = { ...last, [more]: last[more] + 1, [kind]: last[kind] + 1 };
      const plain = verdictOf(tickHealth(start, last, alone, now), healthTimes, now);
      const after = verdictOf(tickHealth(start, added, alone, now), healthTimes, now);
      expect(rank[after]).toBeGreaterThanOrEqual(rank[plain]);
    }),
  );
});

test("time that runs faster or slower leaves the verdicts equal", () => {
  const scale = (factor: number): HealthTimes => ({
    ejectBaseMs: healthTimes.ejectBaseMs * factor,
    ejectCapMs: healthTimes.ejectCapMs * factor,
    forgiveMs: healthTimes.forgiveMs * factor,
    degradedMs: healthTimes.degradedMs * factor,
    slowStartMs: healthTimes.slowStartMs * factor,
    frozenMs: healthTimes.frozenMs * factor,
    probesOldMs: healthTimes.probesOldMs * factor,
  });
  fc.assert(
    fc.property(history, fc.constantFrom(0.25, 2, 16), (given, factor) => {
      let plain = newBackendHealth(0);
      let scaled = newBackendHealth(0);
      const times = scale(factor);
      for (const [index, each] of given.entries()) {
        const now = (index + 1) * 1_000;
        plain = tickHealth(plain, each, alone, now);
        scaled = tickHealth(scaled, each, { ...alone, times }, now * factor);
        expect(verdictOf(scaled, times, now * factor)).toBe(verdictOf(plain, healthTimes, now));
        expect(shareOf(scaled, times, now * factor)).toBeCloseTo(shareOf(plain, healthTimes, now));
      }
    }),
  );
});

test("reports merged in any order are the same counts", () => {
  fc.assert(
    fc.property(fc.array(someCounts, { maxLength: 8 }), fc.nat(), (reports, turn) => {
      const at = reports.length === 0 ? 0 : turn % reports.length;
      const turned = [...reports.slice(at), ...reports.slice(0, at)].reverse();
      expect(turned.reduce(addCounts, noCounts)).toEqual(reports.reduce(addCounts, noCounts));
    }),
  );
});

test("a share is always from 0 to 1, and 0 exactly for the unhealthy", () => {
  fc.assert(
    fc.property(history, (given) => {
      let health = newBackendHealth(0);
      for (const [index, each] of given.entries()) {
        const now = (index + 1) * 1_000;
        health = tickHealth(health, each, alone, now);
        const share = shareOf(health, healthTimes, now);
        expect(share === 0).toBe(verdictOf(health, healthTimes, now) === "unhealthy");
        expect(share).toBeLessThanOrEqual(1);
      }
    }),
  );
});

// --- how fast, how sure: by simulation with a seed ---

/** Seconds until the verdict, over many runs, sorted. */
function secondsUntil(
  random: Random,
  wanted: HealthVerdict,
  draw: (random: Random) => HealthCounts,
): readonly number[] {
  const seconds: number[] = [];
  for (let each = 0; each < 400; each++) {
    let health = newBackendHealth(0);
    let second = 0;
    while (second < 600 && rank[verdictOf(health, healthTimes, second * 1_000)] < rank[wanted]) {
      second += 1;
      health = tickHealth(health, draw(random), alone, second * 1_000);
    }
    seconds.push(second);
  }
  return seconds.sort((a, b) => a - b);
}

function failing(rate: number): (random: Random) => HealthCounts {
  return (random) => {
    let failed = 0;
    for (let each = 0; each < 10; each++) if (random.next() < rate) failed += 1;
    return counts({ requests: 10, failed, timed: 10 - failed });
  };
}

test.each([
  ["10 % failing is degraded", 0.1, "degraded", 20],
  ["50 % failing is degraded", 0.5, "degraded", 3],
  ["all failing is unhealthy", 1, "unhealthy", 3],
] as const)("at 10 requests a second, %s in time (p95)", (_, rate, wanted, boundSeconds) => {
  const seconds = secondsUntil(seededRandom("detect"), wanted, failing(rate));
  expect(seconds[Math.floor(seconds.length * 0.95)]).toBeLessThanOrEqual(boundSeconds);
});
