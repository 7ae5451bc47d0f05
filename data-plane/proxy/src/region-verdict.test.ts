import { expect, test } from "vitest";
import {
  initialVerdict,
  isOpenToClients,
  judgeRegion,
  type RegionEvidence,
  type RegionVerdict,
} from "./region-verdict.ts";

const healthy: RegionEvidence = {
  isDrained: false,
  isStopping: false,
  hasSnapshot: true,
  available: 10,
  backends: 10,
};

function judge(evidence: Partial<RegionEvidence>, former = initialVerdict(0), now = 1_000) {
  return judgeRegion(former, { ...healthy, ...evidence }, now);
}

test.each<[string, Partial<RegionEvidence>, string, number]>([
  ["all backends", {}, "ready", 255],
  ["half of the backends", { available: 5 }, "ready", 128],
  ["less than half", { available: 4 }, "degraded", 102],
  ["less than 30 %", { available: 2 }, "down", 0],
  ["no backends named", { available: 0, backends: 0 }, "unknown", 0],
  ["an operator's drain", { isDrained: true }, "draining", 0],
  ["a stopping proxy without a snapshot", { isStopping: true, hasSnapshot: false }, "draining", 0],
  ["no snapshot", { hasSnapshot: false }, "unknown", 0],
])("%s: %o is %s", (_what, evidence, standing, weight) => {
  expect(judge(evidence)).toMatchObject({ standing, weight });
});

test("a region that went down comes back only after 60 s at half or more", () => {
  let verdict: RegionVerdict = judge({ available: 0 }, initialVerdict(0), 0);
  const seen: [number, string][] = [];
  for (let now = 1_000; now <= 100_000; now += 1_000) {
    // It wavers once after 20 s.
    const available = now === 20_000 ? 4 : 8;
    const next = judge({ available }, verdict, now);
    if (next.standing !== verdict.standing) seen.push([now, next.standing]);
    verdict = next;
  }
  expect(seen).toEqual([[80_000, "ready"]]);
});

test("since is when the standing changed, not when it was last asked", () => {
  const first = judge({}, initialVerdict(0), 1_000);
  expect(judge({}, first, 9_000).since).toBe(1_000);
  expect(judge({ isDrained: true }, first, 9_000).since).toBe(9_000);
});

test.each<[string, Partial<RegionEvidence>, number, boolean]>([
  ["ready", {}, 0, true],
  ["degraded", { available: 4 }, 0, true],
  ["down", { available: 0 }, 5, false],
  ["draining", { isDrained: true }, 5, false],
  ["unknown with another region to send to", { available: 0, backends: 0 }, 1, true],
  ["unknown with nobody to send to", { available: 0, backends: 0 }, 0, false],
  ["unknown without a snapshot", { hasSnapshot: false }, 5, false],
])("clients may come when %s: %o with %i peers is %s", (_what, evidence, peers, open) => {
  const all = { ...healthy, ...evidence };
  expect(isOpenToClients(judgeRegion(initialVerdict(0), all, 1), all, peers)).toBe(open);
});
