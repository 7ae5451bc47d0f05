import { samplePolicy } from "@meridian/proto/policy-sample";
import { expect, test } from "vitest";
import { type LoadReport, RegionLoads } from "./region-loads.ts";

type BackendLoad = LoadReport["backends"][number];
type PoolLoad = LoadReport["pools"][number];

const noWork: BackendLoad = { name: "eu-a", inFlight: 0, timed: 0, slow: 0, doneTokens: 0 };
const noDemand: PoolLoad = { model: "llama-8b", requests: 0, tokens: 0, held: 0, sentAway: 0 };

function report(work: Partial<BackendLoad>, demand: Partial<PoolLoad> = {}): LoadReport {
  return { backends: [{ ...noWork, ...work }], pools: [{ ...noDemand, ...demand }] };
}

function open(): RegionLoads {
  const loads = new RegionLoads();
  loads.arrange(samplePolicy());
  return loads;
}

/** A minute of reports, one a second; returns its end. */
function minute(loads: RegionLoads, each: LoadReport, region = "eu-west", from = 0): number {
  for (let second = 1; second <= 62; second++) loads.take(region, each, from + second * 1_000);
  return from + 62_000;
}

test("what the policy declares is the capacity, per second", () => {
  expect(open().capacity("us-a", 0)).toEqual({ tokens: 15_000, source: "declared" });
  expect(open().capacity("eu-a", 0)).toBeUndefined();
  expect(open().capacity("nobody", 0)).toBeUndefined();
});

test("what it does not declare is measured, once requests wait in the server or are held for it", () => {
  const work = { inFlight: 8, timed: 5, doneTokens: 400 };
  const idle = open();
  expect(idle.capacity("eu-a", minute(idle, report(work)))).toBeUndefined();
  for (const full of [report({ ...work, waiting: 2 }), report(work, { held: 3 })]) {
    const loads = open();
    expect(loads.capacity("eu-a", minute(loads, full))).toEqual({
      tokens: 400,
      source: "measured",
    });
  }
});

test("requests that are held for another model say nothing of a backend", () => {
  const loads = open();
  const work = { inFlight: 8, timed: 5, doneTokens: 400 };
  const now = minute(loads, report(work, { model: "another", held: 3 }));
  expect(loads.capacity("eu-a", now)).toBeUndefined();
});

test("demand is what own clients ask for, a region for itself", () => {
  const loads = open();
  const now = minute(loads, report({}, { requests: 4, tokens: 2_000, sentAway: 1 }));
  const demand = loads.demand("eu-west", "llama-8b", now);
  expect(demand.tokens / 2_000).toBeCloseTo(1, 1);
  expect(demand.awayShare).toBeCloseTo(0.25);
  for (const [region, model] of [
    ["us-east", "llama-8b"],
    ["eu-west", "llama-70b"],
  ] as const) {
    expect(loads.demand(region, model, now)).toEqual({ tokens: 0, awayShare: 0 });
  }
});

test("names that the policy does not know, and other regions' backends, are passed over", () => {
  const loads = open();
  const busy = { inFlight: 8, timed: 5, doneTokens: 400, waiting: 2 };
  const asked = { requests: 1, tokens: 5_000 };
  const far = minute(loads, report(busy, asked), "us-east");
  expect(loads.capacity("eu-a", far)).toBeUndefined();
  const now = minute(loads, report(busy, { ...asked, model: "made-up" }), "eu-west", far);
  expect(loads.demand("eu-west", "made-up", now).tokens).toBe(0);
  minute(loads, report({ ...busy, name: "made-up" }, asked), "atlantis", now);
  expect(loads.demand("atlantis", "llama-8b", now + 62_000).tokens).toBe(0);
});

test("a new policy keeps what was seen of what stays, and forgets what goes", () => {
  const loads = open();
  const now = minute(
    loads,
    report({ inFlight: 8, timed: 5, doneTokens: 400, waiting: 2 }, { tokens: 900 }),
  );
  const policy = samplePolicy();
  loads.arrange(policy);
  expect(loads.capacity("eu-a", now)?.tokens).toBe(400);
  loads.arrange({ ...policy, backends: [], models: [] });
  loads.arrange(policy);
  expect(loads.capacity("eu-a", now)).toBeUndefined();
  expect(loads.demand("eu-west", "llama-8b", now).tokens).toBe(0);
});
