import fc from "fast-check";
import { expect, test } from "vitest";
import { createBackendCounts, windowSeconds } from "./backend-counts.ts";

test("the sum is that of the last ten whole seconds, whatever the gaps", () => {
  const steps = fc.array(
    fc.record({ gapMs: fc.nat(4_000), succeeded: fc.nat(9), failed: fc.nat(9) }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, fc.nat(15_000), (list, waitMs) => {
      const counts = createBackendCounts(1);
      const added: { second: number; succeeded: number; failed: number }[] = [];
      let now = 123_456;
      for (const { gapMs, succeeded, failed } of list) {
        now += gapMs;
        counts.add("a", { succeeded, failed }, now);
        added.push({ second: Math.floor(now / 1_000), succeeded, failed });
      }
      const oldest = Math.floor((now + waitMs) / 1_000) - windowSeconds;
      const inside = added.filter((each) => each.second > oldest);
      expect(counts.sum("a", now + waitMs)).toEqual({
        succeeded: inside.reduce((sum, each) => sum + each.succeeded, 0),
        failed: inside.reduce((sum, each) => sum + each.failed, 0),
      });
    }),
  );
});

test("beyond the bound nothing more is counted until something falls silent", () => {
  const counts = createBackendCounts(1);
  const one = { succeeded: 1, failed: 0 };
  counts.add("a", one, 0);
  counts.add("b", one, 0);
  expect(counts.sum("b", 0)).toEqual({ succeeded: 0, failed: 0 });
  counts.prune(9_999);
  counts.add("b", one, 9_999);
  expect(counts.sum("b", 9_999).succeeded).toBe(0);
  counts.prune(10_000);
  counts.add("b", one, 10_000);
  expect(counts.sum("b", 10_000).succeeded).toBe(1);
});
