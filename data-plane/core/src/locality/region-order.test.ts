import { expect, test } from "vitest";
import { distanceKm } from "./distance.ts";
import { type RegionStateView, type RegionView, rankRegions } from "./region-order.ts";

const dublin = { lat: 53.3, lon: -6.3 };
const virginia = { lat: 39, lon: -77.5 };
const mumbai = { lat: 19.1, lon: 72.9 };

test.each([
  [dublin, virginia, 5_450],
  [dublin, mumbai, 7_600],
  [{ lat: 0, lon: 179 }, { lat: 0, lon: -179 }, 222],
  [dublin, dublin, 0],
])("from %o to %o it is about %d km", (a, b, km) => {
  expect(Math.abs(distanceKm(a, b) - km)).toBeLessThanOrEqual(km * 0.02);
});

function state(more: Partial<RegionStateView> = {}): RegionStateView {
  return { draining: false, ageMs: 500, available: 2, ...more };
}

function order(regions: readonly RegionView[]): readonly string[] {
  return rankRegions(dublin, regions).map((each) => `${each.name} ${each.standing}`);
}

test("the nearest region that has room is first", () => {
  expect(
    order([
      { name: "ap", place: mumbai, state: state() },
      { name: "us", place: virginia, state: state() },
    ]),
  ).toEqual(["us available", "ap available"]);
});

test("room comes before distance, the unknown before the exhausted, and draining regions are left out", () => {
  expect(
    order([
      { name: "a", place: dublin, state: state({ available: 0 }) },
      { name: "b", place: dublin, state: undefined },
      { name: "c", place: dublin, state: state({ draining: true }) },
      { name: "d", place: mumbai, state: state() },
      { name: "e", place: virginia, state: state({ ageMs: 30_000, available: 0 }) },
    ]),
  ).toEqual(["d available", "b unknown", "e unknown", "a exhausted"]);
});

test("a region without a place is far, and equal ones stand by name", () => {
  expect(
    order([
      { name: "z", place: undefined, state: state() },
      { name: "b", place: mumbai, state: state() },
      { name: "a", place: mumbai, state: state() },
    ]),
  ).toEqual(["a available", "b available", "z available"]);
});

test("a region whose word ages gives way to one farther off that speaks; a near one for longer", () => {
  const near = (ageMs: number) => ({ name: "us", place: virginia, state: state({ ageMs }) });
  const far = { name: "ap", place: mumbai, state: state() };
  const first = (ageMs: number) => order([near(ageMs), far])[0];
  expect([0, 5_000, 11_000].map(first)).toEqual(Array(3).fill("us available"));
  // 5,450 km at 0.7 of its worth are farther than 7,600 km.
  expect([12_600, 29_000, 31_000].map(first)).toEqual(Array(3).fill("ap available"));
});

test("where all words are equally old, age changes no order", () => {
  const at = (ageMs: number) =>
    order([
      { name: "ap", place: mumbai, state: state({ ageMs }) },
      { name: "us", place: virginia, state: state({ ageMs }) },
    ]);
  expect(at(25_000)).toEqual(at(0));
});
