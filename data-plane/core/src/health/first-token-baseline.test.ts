import { type Random, seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { baselineRequestsMin, FirstTokenBaseline } from "./first-token-baseline.ts";

/** About log-normal, with the median 1. */
function noise(random: Random, width: number): number {
  let sum = 0;
  for (let each = 0; each < 12; each++) sum += random.next();
  return Math.exp(width * (sum - 6));
}

function taught(
  count: number,
  latency: (inputTokens: number, random: Random) => number,
  inputOf: (random: Random) => number = (random) => 50 + random.integer(4_000),
): { readonly baseline: FirstTokenBaseline; readonly random: Random } {
  const random = seededRandom("baseline");
  const baseline = new FirstTokenBaseline();
  for (let each = 0; each < count; each++) {
    const inputTokens = inputOf(random);
    baseline.learn({ inputTokens, firstTokenMs: latency(inputTokens, random) }, each * 100);
  }
  return { baseline, random };
}

const usual = (inputTokens: number, random: Random): number =>
  (40 + 0.2 * inputTokens) * noise(random, 0.3);

test("nothing is slow before enough was seen", () => {
  const { baseline } = taught(baselineRequestsMin - 1, usual);
  expect(baseline.boundMs(100)).toBe(Number.POSITIVE_INFINITY);
  baseline.learn({ inputTokens: 100, firstTokenMs: 60 }, 1e6);
  expect(baseline.boundMs(100)).toBeLessThan(1_000);
});

test("about one wait in twenty lies beyond the bound, for short inputs as for long ones", () => {
  const { baseline, random } = taught(3_000, usual);
  for (const inputTokens of [200, 1_000, 4_000]) {
    let beyond = 0;
    for (let each = 0; each < 4_000; each++) {
      if (usual(inputTokens, random) > baseline.boundMs(inputTokens)) beyond += 1;
    }
    expect(beyond / 4_000).toBeGreaterThan(0.01);
    expect(beyond / 4_000).toBeLessThan(0.08);
  }
});

test("three times slower is beyond the bound nearly always", () => {
  const { baseline, random } = taught(3_000, usual);
  let beyond = 0;
  for (let each = 0; each < 1_000; each++) {
    const inputTokens = 50 + random.integer(4_000);
    if (3 * usual(inputTokens, random) > baseline.boundMs(inputTokens)) beyond += 1;
  }
  expect(beyond / 1_000).toBeGreaterThan(0.9);
});

test("inputs of one length alone, and instant answers, give a bound that can be used", () => {
  const { baseline } = taught(
    200,
    () => 2,
    () => 100,
  );
  expect(baseline.boundMs(100)).toBe(25);
  expect(Number.isFinite(baseline.boundMs(1_000_000))).toBe(true);
});

test("what is new in a day is learned, and the old forgotten", () => {
  const { baseline, random } = taught(2_000, usual);
  const before = baseline.boundMs(1_000);
  for (let each = 0; each < 2_000; each++) {
    const inputTokens = 50 + random.integer(4_000);
    const later = 3 * 86_400_000 + each * 100;
    baseline.learn({ inputTokens, firstTokenMs: 2 * usual(inputTokens, random) }, later);
  }
  expect(baseline.boundMs(1_000) / before).toBeGreaterThan(1.7);
  expect(baseline.boundMs(1_000) / before).toBeLessThan(2.6);
});

test("the line is told once there are eight: what a wait begins with, and what each token adds", () => {
  expect(taught(7, usual).baseline.fit()).toBeUndefined();
  const { baseline } = taught(500, (inputTokens) => 40 + 0.2 * inputTokens);
  const { baseMs, msPerToken } = baseline.fit() ?? { baseMs: 0, msPerToken: 0 };
  expect(baseMs).toBeCloseTo(40, 1);
  expect(msPerToken).toBeCloseTo(0.2, 3);
});
