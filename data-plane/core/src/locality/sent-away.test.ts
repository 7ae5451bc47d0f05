import fc from "fast-check";
import { expect, test } from "vitest";
import { SentAway } from "./sent-away.ts";

/** Of the table alone. */
function share(granted: number): { readonly share: number; readonly perSecond: number } {
  return { share: granted, perSecond: 0 };
}

test("what a region says that it would take may go there beyond the table's share, and no more", () => {
  const account = new SentAway();
  account.arrived("m", 100_000, 0);
  const grant = { share: 0, perSecond: 100 };
  let sent = 0;
  for (let now = 0; now < 60_000; now += 100) {
    if (!account.mayGo("m", "us", grant, now)) continue;
    account.sent("m", "us", 50, now);
    sent += 50;
  }
  // 100 a second for a minute, and what five seconds hold at once.
  expect(sent).toBeGreaterThan(6_000);
  expect(sent).toBeLessThan(7_000);
});

test("nothing goes where the table grants nothing, or where nothing came", () => {
  const account = new SentAway();
  expect(account.mayGo("m", "us", share(0.5), 0)).toBe(false);
  account.arrived("m", 1_000, 0);
  expect(account.mayGo("m", "us", share(0), 0)).toBe(false);
  expect(account.mayGo("m", "us", share(0.5), 0)).toBe(true);
  expect(account.mayGo("other", "us", share(0.5), 0)).toBe(false);
});

test("each region and each model has an account of its own, and what came back is not held against it", () => {
  const account = new SentAway();
  for (const model of ["m", "n"]) account.arrived(model, 1_000, 0);
  account.sent("m", "us", 500, 0);
  expect(account.mayGo("m", "us", share(0.2), 0)).toBe(false);
  expect(account.mayGo("m", "ap", share(0.2), 0)).toBe(true);
  expect(account.mayGo("n", "us", share(0.2), 0)).toBe(true);
  account.returned("m", "us", 500, 0);
  expect(account.mayGo("m", "us", share(0.2), 0)).toBe(true);
});

test("whatever comes, what is sent stays within 1.25 × the share and one request", () => {
  const tokens = 100;
  fc.assert(
    fc.property(
      fc.double({ min: 0.02, max: 0.9, noNaN: true }),
      fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 50, maxLength: 300 }),
      (granted, gaps) => {
        const account = new SentAway();
        let now = 0;
        let arrived = 0;
        let sent = 0;
        for (const gap of gaps) {
          now += gap;
          arrived += tokens;
          account.arrived("m", tokens, now);
          if (!account.mayGo("m", "us", share(granted), now)) continue;
          sent += tokens;
          account.sent("m", "us", tokens, now);
        }
        // Over any stretch each request is sent against arrivals that fade as it does itself.
        const bound = 1.25 * granted * arrived;
        const stretches = 1 + gaps.reduce((sum, gap) => sum + gap, 0) / 5_000;
        expect(sent).toBeLessThanOrEqual(bound + tokens * (1 + stretches));
        expect(sent).toBeGreaterThanOrEqual(Math.min(tokens, bound) - tokens);
      },
    ),
  );
});
