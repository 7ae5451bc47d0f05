import { expect, test } from "vitest";
import { type RegionStateView, type RegionView, rankRegions } from "./region-order.ts";

function state(more: Partial<RegionStateView> = {}): RegionStateView {
  return { draining: false, ageMs: 500, available: 2, ...more };
}

function order(regions: readonly RegionView[]): readonly string[] {
  return rankRegions(regions).map((each) => `${each.name} ${each.standing}`);
}

test("of regions that have room the one that answers soonest is first", () => {
  expect(
    order([
      { name: "ap", firstTokenMs: 300, state: state() },
      { name: "us", firstTokenMs: 150, state: state() },
    ]),
  ).toEqual(["us available", "ap available"]);
});

test("room comes before time, the unknown before the exhausted, and draining regions are left out", () => {
  expect(
    order([
      { name: "a", firstTokenMs: 1, state: state({ available: 0 }) },
      { name: "b", firstTokenMs: 1, state: undefined },
      { name: "c", firstTokenMs: 1, state: state({ draining: true }) },
      { name: "d", firstTokenMs: 900, state: state() },
      { name: "e", firstTokenMs: 200, state: state({ ageMs: 30_000, available: 0 }) },
    ]),
  ).toEqual(["d available", "b unknown", "e unknown", "a exhausted"]);
});

test("equal ones stand by name", () => {
  const equal = { firstTokenMs: 100, state: state() };
  expect(
    order([
      { name: "z", ...equal },
      { name: "b", ...equal },
      { name: "a", ...equal },
    ]),
  ).toEqual(["a available", "b available", "z available"]);
});

test("a region whose word ages gives way to a slower one that speaks; a quick one for longer", () => {
  const near = (ageMs: number) => ({ name: "us", firstTokenMs: 140, state: state({ ageMs }) });
  const far = { name: "ap", firstTokenMs: 200, state: state() };
  const first = (ageMs: number) => order([near(ageMs), far])[0];
  expect([0, 5_000, 11_000].map(first)).toEqual(Array(3).fill("us available"));
  // 140 ms at less than 0.7 of its worth are more than 200 ms.
  expect([12_600, 29_000, 31_000].map(first)).toEqual(Array(3).fill("ap available"));
});

test("where all words are equally old, age changes no order", () => {
  const at = (ageMs: number) =>
    order([
      { name: "ap", firstTokenMs: 300, state: state({ ageMs }) },
      { name: "us", firstTokenMs: 150, state: state({ ageMs }) },
    ]);
  expect(at(25_000)).toEqual(at(0));
});
