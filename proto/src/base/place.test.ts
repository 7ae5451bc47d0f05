import { expect, test } from "vitest";
import { kmBetween } from "./place.ts";

const dublin = { lat: 53.3, lon: -6.3 };
const virginia = { lat: 39, lon: -77.5 };
const mumbai = { lat: 19.1, lon: 72.9 };

test.each([
  [dublin, virginia, 5_450],
  [dublin, mumbai, 7_600],
  [{ lat: 0, lon: 179 }, { lat: 0, lon: -179 }, 222],
  [dublin, dublin, 0],
])("from %o to %o it is about %d km", (a, b, km) => {
  expect(Math.abs(kmBetween(a, b) - km)).toBeLessThanOrEqual(km * 0.02);
});

test("a place that nobody tells is farther than any other", () => {
  expect(kmBetween(dublin, undefined)).toBeGreaterThan(
    kmBetween(dublin, { lat: -53.3, lon: 173.7 }),
  );
});
