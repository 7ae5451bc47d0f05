import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { trendOf } from "./trend.ts";

const noise = seededRandom("trend");
const series = (slope: number, spread: number) =>
  Array.from({ length: 20 }, (_, x) => ({ x, y: 100 + slope * x + spread * (noise.next() - 0.5) }));

test("a steady growth is seen through noise, and is not by chance", () => {
  const { chance, slope } = trendOf(series(2, 10));
  expect(slope).toBeGreaterThan(1.5);
  expect(slope).toBeLessThan(2.5);
  expect(chance).toBeLessThan(0.001);
});

test("one outlier moves nothing", () => {
  const points = series(0, 0).map((each) => (each.x === 19 ? { ...each, y: 10_000 } : each));
  expect(trendOf(points).slope).toBe(0);
  expect(trendOf(points).chance).toBeGreaterThan(0.01);
});

test("what shrinks or stays does not grow", () => {
  expect(trendOf(series(-2, 1)).chance).toBe(1);
  expect(trendOf(series(0, 0))).toEqual({ slope: 0, chance: 1 });
});

test("noise alone is taken for growth about as often as the chance says", () => {
  const chances = Array.from({ length: 1_000 }, () => trendOf(series(0, 10)).chance);
  const share = chances.filter((each) => each <= 0.05).length / chances.length;
  expect(share).toBeGreaterThan(0.02);
  expect(share).toBeLessThan(0.08);
});

test("there is no trend of one point", () => {
  expect(trendOf([{ x: 0, y: 1 }])).toEqual({ slope: Number.NaN, chance: 1 });
});
