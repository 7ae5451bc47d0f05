import { expect, test } from "vitest";
import {
  type BackendHealth,
  freezesBaseline,
  healthTimes,
  newBackendHealth,
  noCounts,
  shareOf,
  tickHealth,
} from "./index.ts";
import { alone, counts, fresh, run, tests } from "./test-ticks.ts";

const good = counts({ requests: 10, timed: 10, probes: 2 });

const dead = run(fresh, 2, () => counts({ requests: 20, failed: 20 }));

test("a good backend comes back: time, proof, then a growing share", () => {
  const tries = counts({ requests: 1, probes: 2 });
  const proving = run(dead, 10, () => noCounts, { from: 2 });
  expect(proving.phase).toBe("proving");
  const back = run(proving, 12, () => tries, { from: 12 });
  expect(back.phase).toBe("returning");
  expect(shareOf(back, healthTimes, back.since)).toBe(0.1);
  expect(shareOf(back, healthTimes, back.since + 30_000)).toBe(0.5);
  expect(run(back, 61, () => good, { from: 24 }).phase).toBe("in");
});

test("it does not come back while a canary is asked for and not right three times", () => {
  const context = { ...alone, hasCanary: true };
  const proving = run(dead, 10, () => noCounts, { from: 2 });
  const tried = run(proving, 60, () => counts({ probes: 2 }), { context, from: 12 });
  expect(tried.phase).toBe("proving");
  const right = run(tried, 3, () => counts({ probes: 2, canaries: 1 }), { context, from: 72 });
  expect(right.phase).toBe("returning");
  const wrong = tickHealth(tried, counts({ canaries: 1, canariesWrong: 1 }), context, 73_000);
  expect(wrong.phase).toBe("out");
});

test("each ejection lasts twice as long, up to the cap, and is forgiven in time", () => {
  let health = dead;
  const lasts: number[] = [];
  for (let each = 0; each < 7; each++) {
    lasts.push(health.until - health.since);
    health = tickHealth(health, noCounts, alone, health.until);
    health = tickHealth(
      health,
      counts({ probes: 4, probesFailed: 4 }),
      alone,
      health.since + 1_000,
    );
  }
  expect(lasts).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  const later = { ...newBackendHealth(0), ejections: 3 };
  const calm = run(later, 610, () => good);
  expect(calm.ejections).toBe(1);
  const again = run(calm, 2, () => counts({ requests: 9, failed: 9 }), { from: 610 });
  expect(again.until - again.since).toBe(20_000);
});

test("time that a backend is out, or in trouble, forgives nothing", () => {
  const ejected = { ...dead, ejections: 6, until: dead.since + 300_000 };
  const proving = run(ejected, 400, () => noCounts, { from: 2 });
  const again = tickHealth(proving, counts({ probes: 3, probesFailed: 3 }), alone, 403_000);
  expect(again).toMatchObject({ phase: "out", ejections: 7 });
  const troubled = { ...newBackendHealth(0), ejections: 2 };
  const slow = counts({ requests: 10, timed: 10, slow: 10 });
  expect(run(troubled, 700, () => slow).ejections).toBe(2);
});

test("passing probes never speak for requests that fail", () => {
  const proving = run(dead, 10, () => noCounts, { from: 2 });
  const probed = counts({ probes: 2 });
  const once = run(proving, 60, (second) =>
    second === 5 ? counts({ probes: 2, requests: 1, failed: 1 }) : probed,
  );
  expect(once.phase).toBe("proving");
  // It is for requests to make good again what a request made bad.
  expect(run(once, 12, () => counts({ requests: 1 }), { from: 72 }).phase).toBe("returning");
  const twice = run(proving, 60, (second) =>
    second % 6 === 0 ? counts({ probes: 2, requests: 1, failed: 1 }) : probed,
  );
  expect(twice.phase).not.toBe("returning");
  expect(twice.ejections).toBeGreaterThan(1);
});

test("what is usual is not learned from its first alarm until ten minutes after its return", () => {
  const isFrozen = (health: BackendHealth, second: number) =>
    freezesBaseline(health, { tests, times: healthTimes }, second * 1_000);
  expect(isFrozen(fresh, 0)).toBe(false);
  const slow = run(fresh, 1, () => counts({ requests: 10, timed: 10, slow: 10 }));
  const builds = run(slow, 1, () => counts({ requests: 1, timed: 1, slow: 1 }), { from: 1 });
  expect(isFrozen(builds, 2)).toBe(true);
  const long = { ...dead, until: 900_000 };
  expect(isFrozen(long, 900)).toBe(true);
  const proving = run(long, 900, () => noCounts, { from: 2 });
  expect(isFrozen(proving, 902)).toBe(true);
  const back = run(proving, 17, () => counts({ probes: 2 }), { from: 902 });
  expect(back.phase).toBe("returning");
  expect(
    isFrozen(
      run(back, 590, () => good, { from: 919 }),
      1_509,
    ),
  ).toBe(true);
  expect(
    isFrozen(
      run(back, 610, () => good, { from: 919 }),
      1_529,
    ),
  ).toBe(false);
});

test("an alarm on the way back starts the way again", () => {
  const returning: BackendHealth = { ...newBackendHealth(0), phase: "returning" };
  const ill = run(returning, 40, (second) =>
    second > 35 ? counts({ requests: 10, timed: 10, slow: 10 }) : good,
  );
  expect(ill.phase).toBe("returning");
  expect(ill.since).toBeGreaterThan(35_000);
});
