import type { TargetReport } from "@meridian/data-core/engine";
import { type HealthCounts, noCounts } from "@meridian/proto/health";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ProbeCounts } from "../probe/prober.ts";
import { type Seen, since } from "./health-counts.ts";

const target: TargetReport = {
  name: "a",
  region: "eu",
  started: 0,
  succeeded: 0,
  failed: 0,
  slow: 0,
  inFlight: 0,
  pendingTokens: 0,
  doneTokens: 0,
  waiting: undefined,
  ejected: false,
  draining: false,
  connectFailed: 0,
  timed: 0,
  told: undefined,
  heard: undefined,
  probers: [],
  canaryVector: [],
  available: true,
};

const probes: ProbeCounts = {
  probes: 0,
  probesFailed: 0,
  canaries: 0,
  canariesWrong: 0,
  timed: 0,
  slow: 0,
  canaryTokensPerDay: 0,
  canaryVector: [],
};

const calm: Seen = { target, probes };

test("a second is what was added since the one before; a failed request is a request, too", () => {
  const before = { target: { ...target, succeeded: 100, failed: 10, connectFailed: 5 }, probes };
  const now = { target: { ...target, succeeded: 107, failed: 13, connectFailed: 6 }, probes };
  expect(since(before, now)).toEqual({ ...noCounts, requests: 10, failed: 3, connectFailed: 1 });
});

test("what is new, or counts anew, is counted from nothing", () => {
  const now = { target: { ...target, succeeded: 3, failed: 1 }, probes: undefined };
  const expected = { ...noCounts, requests: 4, failed: 1 };
  expect(since(undefined, now)).toEqual(expected);
  const more = { target: { ...target, succeeded: 90, failed: 20 }, probes: undefined };
  expect(since(more, now)).toEqual(expected);
});

test("a canary's time counts as a wait, beside those of requests", () => {
  const now = {
    target: { ...target, timed: 4, slow: 1 },
    probes: { ...probes, canaries: 2, canariesWrong: 1, timed: 2, slow: 2 },
  };
  expect(since(calm, now)).toEqual({
    ...noCounts,
    timed: 6,
    slow: 3,
    canaries: 2,
    canariesWrong: 1,
  });
});

test("probes begin when this proxy begins to probe, and end with that", () => {
  const probing = { target, probes: { ...probes, probes: 5, probesFailed: 2 } };
  expect(since({ target, probes: undefined }, probing)).toMatchObject({
    probes: 5,
    probesFailed: 2,
  });
  expect(since(probing, { target, probes: undefined })).toEqual(noCounts);
});

test("a backend that this proxy holds out is held by one", () => {
  expect(since(calm, { target: { ...target, ejected: true }, probes }).ejectedBy).toBe(1);
  expect(since({ target: { ...target, ejected: true }, probes }, calm).ejectedBy).toBe(0);
});

test("seconds add up to what was counted, however it is cut into seconds", () => {
  const step = fc.record({
    succeeded: fc.nat(9),
    failed: fc.nat(9),
    timed: fc.nat(9),
    probes: fc.nat(3),
    canaries: fc.nat(1),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let seen = calm;
      const total = { requests: 0, failed: 0, timed: 0, probes: 0, canaries: 0 };
      for (const each of steps) {
        const now: Seen = {
          target: {
            ...target,
            succeeded: seen.target.succeeded + each.succeeded,
            failed: seen.target.failed + each.failed,
            timed: seen.target.timed + each.timed,
          },
          probes: {
            ...probes,
            probes: (seen.probes?.probes ?? 0) + each.probes,
            canaries: (seen.probes?.canaries ?? 0) + each.canaries,
          },
        };
        const counts: HealthCounts = since(seen, now);
        for (const field of ["requests", "failed", "timed", "probes", "canaries"] as const) {
          total[field] += counts[field];
        }
        seen = now;
      }
      expect(total).toEqual({
        requests: seen.target.succeeded + seen.target.failed,
        failed: seen.target.failed,
        timed: seen.target.timed,
        probes: seen.probes?.probes,
        canaries: seen.probes?.canaries,
      });
    }),
  );
});
