// Demand as it was planned: rates, days, sessions that share their beginnings.

import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { Zipf } from "../kernel/draws.ts";
import {
  type DemandShape,
  diurnal,
  nextSessionMs,
  SessionTexts,
  steady,
  surge,
  usualSession,
} from "./demand.ts";

function count(shape: DemandShape, from: number, to: number): number {
  const random = seededRandom("demand");
  let sessions = 0;
  for (let at = nextSessionMs(random, shape, 0); at < to; ) {
    if (at >= from) sessions += 1;
    at += nextSessionMs(random, shape, at);
  }
  return sessions;
}

test("sessions come as often as the rate says, in a surge as often as it says then", () => {
  const shape = surge(steady(5), { from: 100_000, to: 200_000, factor: 3 });
  // 500 and 1,500, within four standard deviations.
  expect(Math.abs(count(shape, 0, 100_000) - 500)).toBeLessThan(90);
  expect(Math.abs(count(shape, 100_000, 200_000) - 1_500)).toBeLessThan(155);
});

test("a day's peak is to its trough as it was planned, and its mean is the mean", () => {
  const shape = diurnal({ mean: 8, swing: 4, dayMs: 1_000, shiftMs: 0 });
  expect(shape.rate(250) / shape.rate(750)).toBeCloseTo(4);
  expect((shape.rate(250) + shape.rate(750)) / 2).toBeCloseTo(8);
  expect(shape.rateMax).toBeCloseTo(shape.rate(250));
});

test("a turn begins as the one before, and sessions share their system prompt and nothing more", () => {
  const zipf = new Zipf(1);
  const texts = (session: number) =>
    new SessionTexts(
      seededRandom(`s${session}`),
      { ...usualSession, turns: 400, promptTokens: 400 },
      zipf,
      { session, at: 0 },
    );
  const [one, other] = [texts(1), texts(2)];
  const first = one.next()?.blocks ?? [];
  const second = one.next()?.blocks ?? [];
  expect(second.length).toBeGreaterThan(first.length);
  expect(second.slice(0, first.length)).toEqual(first);
  other.next();
  const foreign = other.next()?.blocks ?? [];
  const shared = second.filter((each, at) => foreign[at] === each);
  expect(shared).toEqual(second.slice(0, 3));
});
