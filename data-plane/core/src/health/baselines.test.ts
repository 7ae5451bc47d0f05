import { expect, test } from "vitest";
import { Baselines, holdBackMs } from "./baselines.ts";
import { baselineRequestsMin } from "./first-token-baseline.ts";

const slot = 3;
const input = 500;

/** So many waits, five a second; the instant after them. */
function learn(baselines: Baselines, count: number, firstTokenMs: number, from: number): number {
  let now = from;
  for (let each = 0; each < count; each++) {
    baselines.learn(slot, "stream", { inputTokens: input, firstTokenMs }, now);
    now += 200;
  }
  return now;
}

function boundMs(baselines: Baselines): number {
  return baselines.boundMs(slot, "stream", input);
}

test("what is usual is known at once after the least number of requests", () => {
  const baselines = new Baselines();
  learn(baselines, baselineRequestsMin, 100, 0);
  expect(boundMs(baselines)).toBeLessThan(150);
});

test("waits that an alarm then speaks of were never learned", () => {
  const baselines = new Baselines();
  const now = learn(baselines, baselineRequestsMin + 10, 100, 0);
  const bound = boundMs(baselines);
  // Until the alarm is known some seconds pass, in which everything is slow already.
  const known = learn(baselines, 20, 300, now);
  expect(boundMs(baselines)).toBe(bound);
  baselines.distrust(slot);
  learn(baselines, 5, 100, known + holdBackMs);
  expect(boundMs(baselines)).toBeLessThan(150);
});

test("waits that no alarm speaks of are learned a little later", () => {
  const baselines = new Baselines();
  const now = learn(baselines, baselineRequestsMin, 100, 0);
  learn(baselines, 500, 300, now);
  expect(boundMs(baselines)).toBeGreaterThan(300);
});

test("what is held back is bounded, and a slot that is forgotten has nothing", () => {
  const baselines = new Baselines();
  learn(baselines, baselineRequestsMin, 100, 0);
  for (let each = 0; each < 100_000; each++) {
    baselines.learn(slot, "stream", { inputTokens: input, firstTokenMs: 300 }, 20_000);
  }
  expect(baselines.held(slot)).toBeLessThan(1_000);
  baselines.forget(slot);
  expect(baselines.held(slot)).toBe(0);
  expect(boundMs(baselines)).toBe(Number.POSITIVE_INFINITY);
});
