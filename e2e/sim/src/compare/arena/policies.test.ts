// Every policy of the comparison: the same seed gives the same run, and each request is pushed once and answered once.

import { expect, test } from "vitest";
import { regionalMeridian } from "../policies/meridian/meridian.ts";
import { regionalPushing } from "../policies/selective.ts";
import { byName, demandOf, fleetFor, policies } from "../run/contest.ts";
import { generatedWorkloads } from "../workloads/generated.ts";
import type { Policy } from "./arena.ts";
import { type Measured, measure } from "./measure.ts";

const span = { warmUpMs: 5_000, countedMs: 20_000, drainMs: 60_000 };

function run(policy: Policy, name: string, requestsPerSecond: number): Measured {
  const workload = byName(generatedWorkloads, name);
  const demand = demandOf(0, 4, requestsPerSecond);
  return measure({ workload, policy, layout: fleetFor(workload), span, demand });
}

test.each([...policies, regionalPushing, regionalMeridian])(
  "$name: equal seeds run alike, and every request is served once",
  (policy) => {
    const first = run(policy, "chat", 16);
    expect(run(policy, "chat", 16)).toEqual(first);
    expect(first.requests).toBeGreaterThan(50);
    expect([first.lost, first.unfinished]).toEqual([0, 0]);
    expect(first.firstTokenMs.p50).toBeGreaterThan(0);
    const trees = run(policy, "tree-of-thoughts", 30);
    expect([trees.lost, trees.unfinished]).toEqual([0, 0]);
  },
);

test("regions for themselves send nothing abroad, one load balancer for all mostly does", () => {
  for (const policy of [regionalPushing, regionalMeridian]) {
    expect(run(policy, "chat", 16).remoteShare).toBe(0);
  }
  expect(run(byName(policies, "round-robin"), "chat", 16).remoteShare).toBeGreaterThan(0.5);
});

test("who goes by prefixes finds more in caches than who takes turns", () => {
  const [turns, selective, ours] = ["round-robin", "selective-pushing", "meridian"].map(
    (name) => run(byName(policies, name), "chat", 16).hitRate,
  );
  expect(selective).toBeGreaterThan(1.5 * (turns ?? 1));
  expect(ours).toBeGreaterThan(1.5 * (turns ?? 1));
});

test("a region beyond its capacity sends some away, by selective pushing and by ours", () => {
  // At this phase more than half of all long prompts come from one region, and fill it.
  for (const name of ["selective-pushing", "meridian"]) {
    const measured = run(byName(policies, name), "long-prompts", 16);
    expect(measured.remoteShare).toBeGreaterThan(0.05);
    expect([measured.lost, measured.unfinished]).toEqual([0, 0]);
  }
});
