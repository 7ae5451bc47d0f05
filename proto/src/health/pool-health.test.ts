import { expect, test } from "vitest";
import {
  deriveTests,
  emptyFleet,
  type FleetContext,
  type FleetHealth,
  type HealthCounts,
  type HealthVerdict,
  healthTimes,
  newBackendHealth,
  noCounts,
  tickFleet,
  verdictOf,
} from "./index.ts";

const tests = deriveTests({ backends: 60, falseAlarmsPerMonth: 1 });

function counts(more: Partial<HealthCounts>): HealthCounts {
  return { ...noCounts, ...more };
}

const pool = ["a", "b", "c"];
const inPool: FleetContext = { tests, times: healthTimes, pools: [pool], withCanary: new Set() };

function runFleet(
  seconds: number,
  each: (name: string, second: number) => HealthCounts,
  { start = emptyFleet, context = inPool, from = 0 } = {},
): FleetHealth {
  let state: FleetHealth = start;
  for (let second = 1; second <= seconds; second++) {
    const seen = new Map(context.pools.flat().map((name) => [name, each(name, second)]));
    const now = (from + second) * 1_000;
    state = tickFleet(state, seen, context, { now, tickMs: 1_000 });
  }
  return state;
}

function verdicts(state: FleetHealth, now: number): readonly HealthVerdict[] {
  return pool.map((name) =>
    verdictOf(state.backends.get(name)?.health ?? newBackendHealth(0), healthTimes, now),
  );
}

test("all of a pool slow at once ejects nobody", () => {
  const state = runFleet(120, () => counts({ requests: 10, timed: 10, slow: 10 }));
  expect(verdicts(state, 120_000)).toEqual(pool.map(() => "degraded"));
});

test("all of a pool failing at once, by answers, ejects nobody", () => {
  const state = runFleet(120, () => counts({ requests: 10, failed: 8 }));
  expect(verdicts(state, 120_000)).toEqual(pool.map(() => "degraded"));
});

test("a cause that strikes all in the same second ejects nobody, whoever notices it", () => {
  const probed = runFleet(60, () => counts({ probes: 2, probesFailed: 2 }));
  expect(verdicts(probed, 60_000)).toEqual(pool.map(() => "degraded"));
  const canary = { ...inPool, withCanary: new Set(pool) };
  const asked = runFleet(20, () => counts({ canaries: 1, canariesWrong: 1 }), { context: canary });
  expect(verdicts(asked, 20_000)).toEqual(pool.map(() => "degraded"));
});

test("backends that nobody can connect to are out, however many they are", () => {
  const gone = counts({ requests: 10, failed: 10, connectFailed: 10 });
  expect(
    verdicts(
      runFleet(5, () => gone),
      5_000,
    ),
  ).toEqual(pool.map(() => "unhealthy"));
});

test("one among good ones is told apart", () => {
  const state = runFleet(10, (name) => counts({ requests: 10, failed: name === "b" ? 6 : 0 }));
  expect(verdicts(state, 10_000)).toEqual(["healthy", "unhealthy", "healthy"]);
});

test("a new policy keeps what was learned of the backends that stay", () => {
  const state = runFleet(3, (name) => counts({ requests: 10, failed: name === "b" ? 10 : 0 }));
  const changed = {
    ...inPool,
    tests: deriveTests({ backends: 4, falseAlarmsPerMonth: 2 }),
    pools: [["b", "c", "d"], ["c"]],
  };
  const after = runFleet(1, () => noCounts, { start: state, context: changed, from: 3 });
  expect(after.backends.get("b")?.health).toMatchObject({ phase: "out", ejections: 1 });
  expect([...after.backends.keys()].sort()).toEqual(["b", "c", "d"]);
});
