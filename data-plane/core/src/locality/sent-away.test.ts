import fc from "fast-check";
import { expect, test } from "vitest";
import { SentAway } from "./sent-away.ts";

test("nothing goes where the table grants nothing, or where nothing came", () => {
  const account = new SentAway();
  expect(account.mayGo("m", "us", 0.5, 0)).toBe(false);
  account.arrived("m", 1_000, 0);
  expect(account.mayGo("m", "us", 0, 0)).toBe(false);
  expect(account.mayGo("m", "us", 0.5, 0)).toBe(true);
  expect(account.mayGo("other", "us", 0.5, 0)).toBe(false);
});

test("each region and each model has an account of its own, and what came back is not held against it", () => {
  const account = new SentAway();
  for (const model of ["m", "n"]) account.arrived(model, 1_000, 0);
  account.sent("m", "us", 500, 0);
  expect(account.mayGo("m", "us", 0.2, 0)).toBe(false);
  expect(account.mayGo("m", "ap", 0.2, 0)).toBe(true);
  expect(account.mayGo("n", "us", 0.2, 0)).toBe(true);
  account.returned("m", "us", 500, 0);
  expect(account.mayGo("m", "us", 0.2, 0)).toBe(true);
});

test("whatever comes, what is sent stays within 1.25 × the share and one request", () => {
  const tokens = 100;
  fc.assert(
    fc.property(
      fc.double({ min: 0.02, max: 0.9, noNaN: true }),
      fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 50, maxLength: 300 }),
      (share, gaps) => {
        const account = new SentAway();
        let now = 0;
        let arrived = 0;
        let sent = 0;
        for (const gap of gaps) {
          now += gap;
          arrived += tokens;
          account.arrived("m", tokens, now);
          if (!account.mayGo("m", "us", share, now)) continue;
          sent += tokens;
          account.sent("m", "us", tokens, now);
        }
        // Over any stretch each request is sent against arrivals that fade as it does itself.
        const bound = 1.25 * share * arrived;
        const stretches = 1 + gaps.reduce((sum, gap) => sum + gap, 0) / 5_000;
        expect(sent).toBeLessThanOrEqual(bound + tokens * (1 + stretches));
        expect(sent).toBeGreaterThanOrEqual(Math.min(tokens, bound) - tokens);
      },
    ),
  );
});
