import fc from "fast-check";
import { expect, test } from "vitest";
import { agedVerdict, type ToldVerdict } from "./told-verdict.ts";

function verdict(share: number, more: Partial<ToldVerdict> = {}): ToldVerdict {
  const name = share === 0 ? "unhealthy" : share < 1 ? "degraded" : "healthy";
  const none = { isProving: false, freezesBaseline: false, isAgeing: false };
  return { verdict: name, share, ...none, ...more };
}

test("a fresh word is followed as it is", () => {
  const told = verdict(1);
  expect(agedVerdict(told, verdict(0), 1)).toBe(told);
});

test("as it ages, this proxy's own evidence takes its place, bit by bit", () => {
  const share = (trust: number) => agedVerdict(verdict(1), verdict(0), trust).share;
  expect([1, 0.9, 0.5, 0.1].map(share)).toEqual([1, 0.9, 0.5, 0.1]);
  expect(agedVerdict(verdict(0.5), verdict(1), 0.5).share).toBe(0.75);
});

test("who was told to be out stays out, whatever this proxy thinks", () => {
  expect(agedVerdict(verdict(0, { isProving: true }), verdict(1), 0.01)).toMatchObject({
    verdict: "unhealthy",
    share: 0,
    isProving: true,
  });
});

test("where this proxy knows nothing, the old word is better than none", () => {
  expect(agedVerdict(verdict(0.5), undefined, 0.2)).toMatchObject({ share: 0.5, isAgeing: true });
});

test("the share lies between both words, and a worse word never makes it larger", () => {
  const shares = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(shares, shares, shares, shares, (told, own, trust, other) => {
      const { share } = agedVerdict(verdict(told), verdict(own), trust);
      expect(share).toBeGreaterThanOrEqual(Math.min(told, own) - 1e-9);
      expect(share).toBeLessThanOrEqual(Math.max(told, own) + 1e-9);
      const worse = agedVerdict(verdict(told), verdict(Math.min(own, other)), trust);
      expect(worse.share).toBeLessThanOrEqual(share + 1e-9);
    }),
  );
});
