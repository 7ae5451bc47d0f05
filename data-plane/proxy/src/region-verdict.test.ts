import { expect, test } from "vitest";
import {
  capacityShare,
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
  capacity: 1,
  edgeTrouble: undefined,
};

function judge(evidence: Partial<RegionEvidence>, former = initialVerdict(0), now = 1_000) {
  return judgeRegion(former, { ...healthy, ...evidence }, now);
}

test.each<[string, Partial<RegionEvidence>, string, number]>([
  ["all backends", {}, "ready", 255],
  ["half of the capacity", { capacity: 0.5 }, "ready", 128],
  ["less than half", { capacity: 0.4 }, "degraded", 102],
  ["less than 30 %", { capacity: 0.29 }, "down", 0],
  ["an edge that fails its clients", { edgeTrouble: "9 of 9 failed" }, "down", 0],
  ["a drained region whose edge fails", { edgeTrouble: "x", isDrained: true }, "draining", 0],
  ["no backends named", { available: 0, backends: 0 }, "unknown", 0],
  ["an operator's drain", { isDrained: true }, "draining", 0],
  ["a stopping proxy without a snapshot", { isStopping: true, hasSnapshot: false }, "draining", 0],
  ["no snapshot", { hasSnapshot: false }, "unknown", 0],
])("%s: %o is %s", (_what, evidence, standing, weight) => {
  expect(judge(evidence)).toMatchObject({ standing, weight });
});

test("a region that went down comes back only after 60 s at half or more", () => {
  let verdict: RegionVerdict = judge({ capacity: 0 }, initialVerdict(0), 0);
  const seen: [number, string][] = [];
  for (let now = 1_000; now <= 100_000; now += 1_000) {
    // It wavers once after 20 s.
    const capacity = now === 20_000 ? 0.4 : 0.8;
    const next = judge({ capacity }, verdict, now);
    if (next.standing !== verdict.standing) seen.push([now, next.standing]);
    verdict = next;
  }
  expect(seen).toEqual([[80_000, "ready"]]);
});

test("a region whose edge failed is ready again once that has passed, if its capacity has held", () => {
  const down = judge({ edgeTrouble: "6 of 6 failed" }, initialVerdict(0), 1_000);
  expect(down).toMatchObject({ standing: "down", reason: "6 of 6 failed" });
  expect(judge({}, down, 61_000).standing).toBe("ready");
  const low = judge({ edgeTrouble: "6 of 6 failed", capacity: 0.4 }, down, 30_000);
  expect(judge({}, low, 61_000).standing).toBe("down");
});

test("since is when the standing changed, not when it was last asked", () => {
  const first = judge({}, initialVerdict(0), 1_000);
  expect(judge({}, first, 9_000).since).toBe(1_000);
  expect(judge({ isDrained: true }, first, 9_000).since).toBe(9_000);
});

test("capacity is what verdicts leave of the weights; what is out of reach has none", () => {
  const told = (share: number) =>
    ({
      verdict: "degraded",
      share,
      isProving: false,
      freezesBaseline: false,
      isAgeing: false,
    }) as const;
  const backends = [
    { name: "a", available: true, told: undefined },
    { name: "b", available: true, told: told(0.5) },
    { name: "c", available: false, told: told(1) },
    // It proves itself: a trickle is let through, which is no capacity.
    { name: "d", available: true, told: told(0) },
  ];
  expect(capacityShare(backends, new Map())).toBe(1.5 / 4);
  expect(capacityShare(backends, new Map([["a", 7]]))).toBe(7.5 / 10);
  expect(capacityShare(backends.slice(0, 1), new Map([["a", 0]]))).toBe(0);
  expect(capacityShare([], new Map())).toBe(0);
});

test.each<[string, Partial<RegionEvidence>, number, boolean]>([
  ["ready", {}, 0, true],
  ["degraded", { capacity: 0.4 }, 0, true],
  ["down", { available: 0, capacity: 0 }, 5, false],
  ["draining", { isDrained: true }, 5, false],
  ["unknown with another region to send to", { available: 0, backends: 0 }, 1, true],
  ["unknown with nobody to send to", { available: 0, backends: 0 }, 0, false],
  ["unknown with an edge that fails", { backends: 0, edgeTrouble: "x" }, 1, false],
  ["unknown without a snapshot", { hasSnapshot: false }, 5, false],
])("clients may come when %s: %o with %i peers is %s", (_what, evidence, peers, open) => {
  const all = { ...healthy, ...evidence };
  expect(isOpenToClients(judgeRegion(initialVerdict(0), all, 1), all, peers)).toBe(open);
});
