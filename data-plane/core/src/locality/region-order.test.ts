import { expect, test } from "vitest";
import {
  digestFreshMs,
  type RegionStateView,
  type RegionView,
  rankRegions,
} from "./region-order.ts";

const dublin = { lat: 53.3, lon: -6.3 };
const virginia = { lat: 39, lon: -77.5 };
const mumbai = { lat: 19.1, lon: 72.9 };

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
      { name: "e", place: virginia, state: state({ ageMs: digestFreshMs + 1, available: 0 }) },
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
