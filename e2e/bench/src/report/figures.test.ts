import { expect, test } from "vitest";
import { type Figure, figuresAsJson, formatFigures, holds } from "./figures.ts";
import { quantile } from "./quantile.ts";

const lost: Figure = { name: "lost", value: 0, unit: "events", atMost: 0 };

test.each([
  [lost, true],
  [{ ...lost, value: 1 }, false],
  [{ ...lost, value: Number.NaN }, false],
  [{ name: "cuts", value: 9, unit: "", atLeast: 10 }, false],
  [{ name: "seen", value: 9, unit: "" }, true],
])("%o holds: %s", (figure, expected) => {
  expect(holds(figure)).toBe(expected);
});

test("a figure that misses its bar says so, in the table and in JSON", () => {
  const figures = [lost, { name: "noticed", value: 12.345, unit: "s", atMost: 10 }];
  expect(formatFigures("watch", figures).split("\n")).toEqual([
    "watch",
    "  lost     0 events  at most 0   holds",
    "  noticed  12.3 s    at most 10  FALLS SHORT",
  ]);
  expect(JSON.parse(figuresAsJson("watch", figures))).toEqual({
    bench: "watch",
    passed: false,
    figures: { lost: 0, noticed: 12.3 },
    bars: { lost: { atMost: 0, holds: true }, noticed: { atMost: 10, holds: false } },
  });
});

test("a quantile is a value that was measured", () => {
  const values = [5, 1, 4, 2, 3];
  expect([quantile(values, 0.5), quantile(values, 0.99), quantile(values, 0)]).toEqual([3, 5, 1]);
  expect(quantile([], 0.5)).toBeNaN();
});
