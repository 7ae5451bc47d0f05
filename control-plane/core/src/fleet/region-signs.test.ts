import { expect, test } from "vitest";
import { createRegionSigns, readyRegions, regionCondition } from "./region-signs.ts";

const pool = (model: string, available: number) => ({
  model,
  backends: 2,
  available,
  capacity: undefined,
  demand: 0,
  pending: 0,
});

test("an age counts from the newest sign, on the own clock, and never from the future", () => {
  const signs = createRegionSigns();
  expect(signs.ageMs("eu", 0)).toBe(4_294_967_295);
  signs.see("eu", 1_000, 30_000);
  expect(signs.ageMs("eu", 1_000)).toBe(30_000);
  signs.see("eu", 2_000);
  signs.see("eu", 1_500);
  expect(signs.ageMs("eu", 2_500)).toBe(500);
  signs.see("eu", 3_000, -99_999);
  expect(signs.ageMs("eu", 3_000)).toBe(0);
});

test("regions that the policy no longer has are forgotten", () => {
  const signs = createRegionSigns();
  signs.see("gone", 0);
  signs.setDigest({ region: "gone", proxies: 1, pools: [], verdicts: [] });
  signs.keep(new Set(["eu"]));
  expect(signs.ageMs("gone", 0)).toBe(4_294_967_295);
  expect(signs.digest("gone")).toBeUndefined();
});

test.each([
  ["alive with proxies", { seenMs: 0, proxies: 1, draining: false }, "ready"],
  ["silent for ten seconds", { seenMs: 10_001, proxies: 1, draining: false }, "unknown"],
  ["alive without proxies", { seenMs: 0, proxies: 0, draining: false }, "down"],
  ["draining", { seenMs: 0, proxies: 1, draining: true }, "draining"],
])("a region that is %s is shown so", (_, { seenMs, proxies, draining }, expected) => {
  const signs = createRegionSigns();
  signs.see("eu", 0, seenMs);
  signs.setDigest({ region: "eu", proxies, pools: [], verdicts: [] });
  expect(regionCondition("eu", signs, draining, 0).state).toBe(expected);
});

test("ready to take over is a region that lives and has a proxy and a backend", () => {
  const signs = createRegionSigns();
  const digest = { region: "", proxies: 1, pools: [pool("m", 1)], verdicts: [] };
  for (const region of ["ready", "empty", "failed", "silent"]) {
    signs.setDigest({ ...digest, region });
    if (region !== "silent") signs.see(region, 0);
  }
  signs.setDigest({ ...digest, region: "empty", proxies: 0 });
  signs.setDigest({ ...digest, region: "failed", pools: [pool("m", 0)] });
  const regions = ["ready", "empty", "failed", "silent", "unheard"];
  expect([...readyRegions(regions, signs, 0)]).toEqual(["ready"]);
});
