import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { noticed } from "./region-trial.ts";

const random = seededRandom("region");
const runs = Array.from({ length: 20 }, (_, run) => run);

test("a backend that is gone is ejected, and soon unhealthy", () => {
  for (const run of runs) {
    const trouble = { isGone: true };
    const each = noticed({ fleet: 15, trouble, random: random.fork(`gone ${run}`) }, "unhealthy");
    expect(Math.min(each.ejectedMs, each.unhealthyMs)).toBeLessThan(2_000);
    expect(each.unhealthyMs).toBeGreaterThan(0);
    expect(each.unhealthyMs).toBeLessThan(4_000);
  }
});

test("a backend that is slow is degraded and nothing worse", () => {
  for (const run of runs) {
    const trouble = { slower: 3 };
    const each = noticed({ fleet: 15, trouble, random: random.fork(`slow ${run}`) }, "degraded");
    expect(each.degradedMs).toBeLessThan(20_000);
    expect([each.ejectedMs, each.unhealthyMs]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
  }
});

test("without trouble nothing is noticed", () => {
  const each = noticed({ fleet: 15, trouble: {}, random: random.fork("well") }, "degraded");
  expect(each.degradedMs).toBe(Number.POSITIVE_INFINITY);
});
