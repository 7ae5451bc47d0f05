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

test.each([5, 8, 10])(
  "a pool that was well and fails at once, %i in ten, ejects nobody",
  (failed) => {
    const well = runFleet(60, () => counts({ requests: 10, timed: 10 }));
    for (let second = 61; second <= 180; second++) {
      const ill = () => counts({ requests: 10, failed });
      const state = runFleet(second - 60, ill, { start: well, from: 60 });
      expect(verdicts(state, second * 1_000)).not.toContain("unhealthy");
    }
  },
);

test("of a pool that fails one after another most stay in", () => {
  const well = runFleet(60, () => counts({ requests: 10, timed: 10 }));
  const state = runFleet(
    60,
    (name, second) => counts({ requests: 10, failed: second > pool.indexOf(name) ? 9 : 0 }),
    { start: well, from: 60 },
  );
  const out = verdicts(state, 120_000).filter((each) => each === "unhealthy");
  expect(out.length).toBeLessThanOrEqual(1);
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

test("failing probes of a backend that answers its requests degrade it and do not take it out", () => {
  const cutOff = (failed: number) => (name: string) =>
    name === pool[0]
      ? counts({ requests: 10, failed, timed: 10, probes: 2, probesFailed: 1 })
      : counts({ requests: 10, timed: 10, probes: 2 });
  const at = (state: FleetHealth) => verdicts(state, 60_000)[0];
  expect(at(runFleet(60, cutOff(0)))).toBe("degraded");
  expect(at(runFleet(60, cutOff(5)))).toBe("unhealthy");
  const idle = (name: string) => counts({ probes: 2, probesFailed: name === pool[0] ? 2 : 0 });
  expect(at(runFleet(60, idle))).toBe("unhealthy");
});

test("slow neighbours do not keep in who fails", () => {
  const state = runFleet(90, (name, second) =>
    name === pool[0]
      ? counts({ requests: 10, failed: second > 30 ? 7 : 0, timed: 10 })
      : counts({ requests: 10, timed: 10, slow: 8 }),
  );
  const [failing, ...slow] = verdicts(state, 90_000);
  expect(failing).toBe("unhealthy");
  expect(new Set(slow)).toEqual(new Set(["degraded"]));
});
