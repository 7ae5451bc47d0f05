import fc from "fast-check";
import { expect, test } from "vitest";
import { FirstTokenFits } from "./first-token-fits.ts";

test("of a target that was hardly tried nothing is expected", () => {
  const fits = new FirstTokenFits();
  expect(fits.expectedMs(3, 100)).toBeUndefined();
  for (let call = 0; call < 7; call++) fits.learn(3, 100 * call, 50 + 10 * call, 0);
  expect(fits.expectedMs(3, 100)).toBeUndefined();
  expect(fits.meanOf([1, 2, 3])).toBeUndefined();
  fits.learn(3, 700, 120, 0);
  expect(fits.expectedMs(3, 1_000)).toBeCloseTo(150);
});

test("any line is found again, and one of another target is another", () => {
  const line = fc.record({
    baseMs: fc.double({ min: 1, max: 500, noNaN: true }),
    msPerToken: fc.double({ min: 0.001, max: 5, noNaN: true }),
  });
  const tokens = fc.uniqueArray(fc.integer({ min: 0, max: 20_000 }), {
    minLength: 20,
    maxLength: 60,
  });
  fc.assert(
    fc.property(line, line, tokens, (one, other, given) => {
      const fits = new FirstTokenFits(1);
      for (const each of given) {
        fits.learn(0, each, one.baseMs + one.msPerToken * each, 0);
        fits.learn(70, each, other.baseMs + other.msPerToken * each, 0);
      }
      for (const [slot, { baseMs, msPerToken }] of [
        [0, one],
        [70, other],
      ] as const) {
        const expected = baseMs + msPerToken * 5_000;
        expect((fits.expectedMs(slot, 5_000) ?? 0) / expected).toBeCloseTo(1, 2);
      }
      const mean = fits.meanOf([0, 5, 70]);
      const msPerToken = (one.msPerToken + other.msPerToken) / 2;
      expect((mean?.msPerToken ?? 0) / msPerToken).toBeCloseTo(1, 1);
    }),
  );
});

test("a queue that nobody told of moves the line a little, and a change is followed", () => {
  const fits = new FirstTokenFits();
  for (let call = 0; call < 200; call++) fits.learn(0, (call % 10) * 100, 50 + (call % 10) * 10, 0);
  expect(fits.expectedMs(0, 500)).toBeCloseTo(100, 0);
  fits.learn(0, 500, 60_000, 0);
  expect(fits.expectedMs(0, 500)).toBeLessThan(110);
  for (let call = 0; call < 800; call++) fits.learn(0, (call % 10) * 100, 50 + (call % 10) * 40, 0);
  expect(fits.expectedMs(0, 500)).toBeGreaterThan(235);
});

test("prompts of one length say how long they take, and never a slope below 0", () => {
  const fits = new FirstTokenFits();
  for (let call = 0; call < 20; call++) fits.learn(0, 400, 90, 0);
  expect(fits.expectedMs(0, 400)).toBeCloseTo(90);
  for (let call = 0; call < 40; call++) fits.learn(1, call * 10, 500 - call * 10, 0);
  expect(fits.meanOf([1])?.msPerToken).toBe(0);
  fits.forget(0);
  fits.forget(9_999);
  expect(fits.expectedMs(0, 400)).toBeUndefined();
});

test("what was seen long ago counts little beside a few calls of now", () => {
  const fits = new FirstTokenFits();
  for (let call = 0; call < 200; call++) fits.learn(0, 400, 1_500, 1_000);
  for (let call = 0; call < 10; call++) fits.learn(0, 400, 300, 1_000);
  expect(fits.expectedMs(0, 400)).toBeGreaterThan(1_400);
  for (let call = 0; call < 10; call++) fits.learn(0, 400, 300, 301_000 + call);
  expect(fits.expectedMs(0, 400)).toBeLessThan(900);
});
