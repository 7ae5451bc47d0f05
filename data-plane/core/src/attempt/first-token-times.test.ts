import { seededRandom } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FirstTokenTimes, firstTokenBytes, hedgeSamplesMin } from "./first-token-times.ts";

function times(): FirstTokenTimes {
  return new FirstTokenTimes(new ArrayBuffer(firstTokenBytes(4)));
}

test("a target that few calls have gone to is not known", () => {
  const made = times();
  for (let call = 1; call < hedgeSamplesMin; call++) made.learn(1, "stream", 100);
  expect(made.p95Ms(1, "stream")).toBe(Number.POSITIVE_INFINITY);
  made.learn(1, "stream", 100);
  expect(made.p95Ms(1, "stream")).toBeLessThan(130);
});

test("targets, streams and embeddings are known apart, and a slot that is given away is forgotten", () => {
  const made = times();
  for (let call = 0; call < 50; call++) {
    made.learn(1, "stream", 1_000);
    made.learn(1, "embedding", 10);
  }
  expect(made.p95Ms(1, "stream")).toBeGreaterThan(900);
  expect(made.p95Ms(1, "embedding")).toBeLessThan(13);
  for (const other of [0, 2]) {
    expect(made.p95Ms(other, "stream")).toBe(Number.POSITIVE_INFINITY);
    expect(made.p95Ms(other, "embedding")).toBe(Number.POSITIVE_INFINITY);
  }
  made.forget(1);
  expect(made.p95Ms(1, "embedding")).toBe(Number.POSITIVE_INFINITY);
});

test("the estimate is never below the value of its rank, and at most a quarter and 0.25 ms above", () => {
  const samples = fc.array(fc.double({ min: 0, max: 400_000, noNaN: true }), {
    minLength: hedgeSamplesMin,
    maxLength: 300,
  });
  fc.assert(
    fc.property(samples, (waits) => {
      const made = times();
      for (const ms of waits) made.learn(3, "embedding", ms);
      const sorted = [...waits].sort((a, b) => a - b);
      const exact = sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0;
      const told = made.p95Ms(3, "embedding");
      expect(told).toBeGreaterThan(exact);
      expect(told).toBeLessThanOrEqual(exact * 1.25 + 0.25);
    }),
  );
});

test("what was long ago fades: after a change of pace the new one is told within 2,000 calls", () => {
  const made = times();
  const random = seededRandom("fading");
  for (let call = 0; call < 5_000; call++) made.learn(0, "stream", 1_000 + 100 * random.next());
  for (let call = 0; call < 2_000; call++) made.learn(0, "stream", 50 + 5 * random.next());
  expect(made.p95Ms(0, "stream")).toBeLessThan(70);
});
