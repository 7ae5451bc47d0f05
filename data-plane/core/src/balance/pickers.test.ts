import { seededRandom } from "@meridian/proto/base";
import { describe, expect, test } from "vitest";
import { provePicker } from "./picker.contract.ts";
import { findPicker, pickers } from "./pickers.ts";
import { PickMemory, Shortlist } from "./shortlist.ts";

describe.each(Object.values(pickers))("$name", (picker) => {
  provePicker(picker);
});

test("each picker goes by its name", () => {
  for (const [name, picker] of Object.entries(pickers)) expect(picker.name).toBe(name);
});

type Backend = {
  readonly weight?: number;
  readonly pending?: number;
  readonly hit?: number;
};

function listOf(backends: readonly Backend[], tokens = 1_000): Shortlist {
  const list = new Shortlist(new PickMemory(backends.length));
  list.clear({ tokens, promptTokens: tokens });
  for (const [place, { weight = 1, pending = 0, hit = 0 }] of backends.entries()) {
    const entry = list.add(place, place);
    list.weights[entry] = weight;
    list.pending[entry] = pending;
    list.inFlight[entry] = pending === 0 ? 0 : 1;
    list.hits[entry] = hit;
  }
  return list;
}

/** Places that are picked in many tries. */
function picked(name: Parameters<typeof findPicker>[0], list: Shortlist): ReadonlySet<number> {
  const random = seededRandom("x");
  return new Set(Array.from({ length: 200 }, () => findPicker(name).pick(list, random)));
}

test("of two the one with less outstanding for its weight is picked", () => {
  const list = listOf([{ pending: 1_000 }, { pending: 100 }], 10);
  expect(picked("least-outstanding", list)).toEqual(new Set([1]));
  const heavy = listOf([{ pending: 1_000, weight: 50 }, { pending: 100 }], 10);
  expect(picked("least-outstanding", heavy)).toEqual(new Set([0]));
});

test("round robin goes in the order of the pool", () => {
  const random = seededRandom("x");
  const list = listOf([{}, {}, {}, {}]);
  const first = findPicker("round-robin").pick(list, random);
  const next = Array.from({ length: 7 }, () => findPicker("round-robin").pick(list, random));
  expect(next).toEqual([1, 2, 3, 4, 5, 6, 7].map((step) => (first + step) % 4));
});

test("weights of 5, 1 and 1 come well mixed, never five times the same", () => {
  const random = seededRandom("x");
  const list = listOf([{ weight: 5 }, {}, {}]);
  const places = Array.from({ length: 70 }, () => findPicker("weighted").pick(list, random)).join(
    "",
  );
  expect(places).not.toContain("0000");
  expect(places.replaceAll("0", "")).toHaveLength(20);
});

test("cache-aware: the longest beginning wins where load is alike", () => {
  const list = listOf([{ hit: 200 }, { hit: 800 }, { hit: 0 }]);
  expect(picked("cache-aware", list)).toEqual(new Set([1]));
});

test("cache-aware: what is saved counts against what is outstanding", () => {
  const list = listOf([{ hit: 300, pending: 200 }, { hit: 0 }]);
  expect(picked("cache-aware", list)).toEqual(new Set([0]));
  const busier = listOf([{ hit: 300, pending: 400 }, { hit: 0 }]);
  expect(picked("cache-aware", busier)).toEqual(new Set([1]));
});

test("cache-aware: who has seen half of a prompt is stuck to, and of several who has seen most of it", () => {
  const list = listOf([{ hit: 410, pending: 3_000 }, { hit: 390 }, { hit: 0 }]);
  expect(picked("cache-aware", list)).toEqual(new Set([0]));
  const two = listOf([{ hit: 500, pending: 10 }, { hit: 800, pending: 3_000 }, { hit: 0 }]);
  expect(picked("cache-aware", two)).toEqual(new Set([1]));
  const equal = listOf([{ hit: 800, pending: 500 }, { hit: 800, pending: 400 }, { hit: 0 }]);
  expect(picked("cache-aware", equal)).toEqual(new Set([1]));
});

test("cache-aware: who has much more to do than the others is passed over, whatever it has", () => {
  const pending = 20_000;
  const prompt = 100_000;
  const full = listOf([{ hit: 80_000, pending }, { pending: 1_000 }, { pending: 2_000 }], prompt);
  expect(picked("cache-aware", full)).toEqual(new Set([1]));
  const alike = listOf([{ hit: 80_000, pending }, { pending: 19_000 }, { pending }], prompt);
  expect(picked("cache-aware", alike)).toEqual(new Set([0]));
});

test("cache-aware: where nobody has anything and the load is equal, the turns are fair", () => {
  const list = listOf([{ pending: 500 }, { pending: 500 }, { pending: 900 }]);
  expect(picked("cache-aware", list)).toEqual(new Set([0, 1]));
});
