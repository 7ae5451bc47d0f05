// Every scenario holds under one seed, and a seed decides everything.

import { expect, test } from "vitest";
import { planSweep, sweep } from "../sweep/sweep.ts";
import { allScenarios } from "./all-scenarios.ts";
import { replayCommand, runScenario } from "./run-scenario.ts";

const names = Object.keys(allScenarios);
/** Of a machine that does other things besides. */
const patienceMs = 300_000;

test(
  "each scenario shows what it must, and no promise is broken in it",
  async () => {
    expect(names.length).toBeGreaterThanOrEqual(15);
    const results = await sweep(planSweep(names, names.length));
    const failed = results
      .filter((each) => !each.passed)
      .map((each) => ({ again: replayCommand(each), ...each }));
    expect(failed).toEqual([]);
    expect(results.map((each) => each.scenario)).toEqual(names);
  },
  patienceMs,
);

test(
  "the same seed does the same to the last event, on another thread, too; another seed does not",
  async () => {
    const name = "etcd-leader-loss";
    const [elsewhere] = await sweep([{ scenario: name, seed: "7" }]);
    const [once, again] = [runScenario(name, "7"), runScenario(name, "7")];
    expect(once?.hash).toMatch(/^[0-9a-f]{16}$/);
    expect(again).toEqual(once);
    expect(elsewhere).toEqual(once);
    expect(runScenario(name, "8")?.hash).not.toBe(once?.hash);
  },
  patienceMs,
);

test("there is no run of a scenario that nobody knows", () => {
  expect(runScenario("toString", "1")).toBeUndefined();
});
