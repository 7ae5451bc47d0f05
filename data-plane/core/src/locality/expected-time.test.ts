import fc from "fast-check";
import { expect, test } from "vitest";
import {
  estimatedRttMs,
  expectedFirstTokenMs,
  freshness,
  isGain,
  netMs,
  queueWaitMs,
  type RemoteQueue,
  remoteQueueMs,
} from "./expected-time.ts";

const fit = { baseMs: 40, msPerToken: 0.2 };

test("the first token is expected after the way, the queue, the prompt that is not cached, and the doubt", () => {
  const parts = { netMs: 80, queueMs: 300, fit, tokens: 1_000, errorMs: 25 };
  expect(expectedFirstTokenMs(parts)).toBe(80 + 300 + 40 + 200 + 25);
  // More is cached than there is: no time is won back.
  expect(expectedFirstTokenMs({ ...parts, tokens: -500 })).toBe(80 + 300 + 40 + 25);
});

test.each([
  [0, 1],
  [5_450, 83],
  [13_000, 196],
])("%d km are a round trip of about %d ms", (km, ms) => {
  expect(estimatedRttMs(km)).toBeCloseTo(ms, 0);
});

test("without an open connection a hop takes one round trip more", () => {
  expect(netMs(80, true)).toBe(80);
  expect(netMs(80, false)).toBe(160);
});

test.each([
  // Four at work, two seconds each: one ends each half second.
  [{ tokensAhead: 0, callMs: 2_000, tokensPerCall: 500, working: 4 }, 500],
  [{ tokensAhead: 1_500, callMs: 2_000, tokensPerCall: 500, working: 4 }, 2_000],
  [{ tokensAhead: 0, callMs: 2_000, tokensPerCall: 0, working: 0 }, 2_000],
])("of %o one place is free after %d ms", (parts, ms) => {
  expect(queueWaitMs(parts)).toBe(ms);
});

test.each([
  [0, 1],
  [5_000, 1],
  [17_500, 0.5],
  [30_000, 0],
  [Number.POSITIVE_INFINITY, 0],
])("of a capacity told %d ms ago %d is left", (ageMs, left) => {
  expect(freshness(ageMs)).toBe(left);
});

const silent: RemoteQueue = {
  toldMs: undefined,
  toldAgeMs: Number.POSITIVE_INFINITY,
  pendingTokens: undefined,
  demandTokens: 0,
  capacityTokens: undefined,
  digestAgeMs: Number.POSITIVE_INFINITY,
};
const digest = { pendingTokens: 4_000, capacityTokens: 1_000, digestAgeMs: 1_000 };

test.each<[string, Partial<RemoteQueue>, number | undefined]>([
  ["nothing is known", {}, undefined],
  ["it told so", { toldMs: 700, toldAgeMs: 2_000 }, 700],
  [
    "it told that there is none, whatever its digest says",
    { ...digest, demandTokens: 2_000, toldMs: 0, toldAgeMs: 0 },
    0,
  ],
  ["it told long ago", { toldMs: 700, toldAgeMs: 20_000 }, undefined],
  ["it does what is asked of it", { ...digest, demandTokens: 900 }, 0],
  ["more is asked than it can do", { ...digest, demandTokens: 1_100 }, 4_000],
  ["its digest ages", { ...digest, digestAgeMs: 17_500, demandTokens: 900 }, 8_000],
  ["its digest is old", { ...digest, digestAgeMs: 31_000, demandTokens: 900 }, undefined],
])("where %s, the wait there is known so", (_, known, ms) => {
  expect(remoteQueueMs({ ...silent, ...known })).toBe(ms);
});

test("a hop must gain 50 ms and 15 %, a session's 30 %", () => {
  expect(isGain(100, 60, false)).toBe(false);
  expect(isGain(100, 49, false)).toBe(true);
  expect(isGain(2_000, 1_720, false)).toBe(false);
  expect(isGain(2_000, 1_690, false)).toBe(true);
  expect(isGain(2_000, 1_450, true)).toBe(false);
  expect(isGain(2_000, 1_390, true)).toBe(true);
});

test("a longer queue, a longer prompt, a farther place never make it sooner", () => {
  const ms = fc.double({ min: 0, max: 1e5, noNaN: true });
  const parts = fc.record({ netMs: ms, queueMs: ms, tokens: ms, errorMs: ms });
  fc.assert(
    fc.property(parts, ms, (given, more) => {
      const at = expectedFirstTokenMs({ ...given, fit });
      for (const part of ["netMs", "queueMs", "tokens", "errorMs"] as const) {
        const later = expectedFirstTokenMs({ ...given, fit, [part]: given[part] + more });
        expect(later).toBeGreaterThanOrEqual(at);
      }
    }),
  );
});
