// What every picker must keep. pickers.test.ts runs it for all of them.

import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import type { Picker } from "./picker.ts";
import { PickMemory, Shortlist } from "./shortlist.ts";

/** A pool whose calls last, in so many picks. */
type World = {
  readonly weights: readonly number[];
  /** Tokens under way at the start. */
  readonly pending?: readonly number[];
  /** How many picks later a call ends; Infinity: never. */
  readonly lasts?: number;
};

const tokens = 100;

/** Slots are not places: 3, 6, 9, … */
function fill(list: Shortlist, weights: readonly number[], pending: readonly number[]): Shortlist {
  list.clear({ tokens, promptTokens: 60 });
  for (const [place, weight] of weights.entries()) {
    const entry = list.add(place, place * 3 + 3);
    list.weights[entry] = weight;
    list.pending[entry] = pending[place] ?? 0;
    list.inFlight[entry] = (pending[place] ?? 0) / tokens;
  }
  return list;
}

function listFor(weights: readonly number[]): Shortlist {
  return new Shortlist(new PickMemory(weights.length));
}

/** Picks one after the other, with the load that follows from them; -1 ends in a failure of the test. */
function pickOften(
  picker: Picker,
  { weights, pending, lasts = 0 }: World,
  picks: number,
): number[] {
  const random = seededRandom(`picks of ${picker.name}`);
  const list = listFor(weights);
  const load = weights.map((_, place) => pending?.[place] ?? 0);
  const places: number[] = [];
  for (let pick = 0; pick < picks; pick++) {
    const place = picker.pick(fill(list, weights, load), random);
    places.push(place);
    load[place] = (load[place] ?? 0) + tokens;
    const ended = places[pick - lasts];
    if (ended !== undefined) load[ended] = (load[ended] ?? 0) - tokens;
  }
  return places;
}

/** How many picks each place got. */
function count(places: readonly number[], size: number): readonly number[] {
  const counts = new Array<number>(size).fill(0);
  for (const place of places) counts[place] = (counts[place] ?? 0) + 1;
  return counts;
}

const equals = (size: number): readonly number[] => new Array<number>(size).fill(1);

/** Registers the tests of the contract for one picker. */
export function provePicker(picker: Picker): void {
  provePlaces(picker);
  proveFairness(picker);
  proveStart(picker);
}

function provePlaces(picker: Picker): void {
  test("nobody is picked from an empty list, or where no weight is", () => {
    const random = seededRandom("none");
    for (const weights of [[], [0, 0]]) {
      expect(picker.pick(fill(listFor(weights), weights, []), random)).toBe(-1);
    }
  });

  test("equal seeds pick equally", () => {
    const world = { weights: [1, 2, 3], lasts: 4 };
    expect(pickOften(picker, world, 50)).toEqual(pickOften(picker, world, 50));
  });

  test("exclusion: a weight of nothing is never picked, in 100,000 picks", () => {
    for (const lasts of [0, 5]) {
      const counts = count(pickOften(picker, { weights: [1, 0, 1, 0], lasts }, 100_000), 4);
      expect(counts[1]).toBe(0);
      expect(counts[3]).toBe(0);
      expect((counts[0] ?? 0) + (counts[2] ?? 0)).toBe(100_000);
    }
  });

  test("exclusion: who is not on the list is not picked, and is again when it is back", () => {
    const random = seededRandom("absent");
    const list = listFor([1, 1, 1]);
    const places: number[] = [];
    for (let pick = 0; pick < 300; pick++) {
      fill(list, [1, 1, 1], []);
      if (pick < 200) {
        list.clear({ tokens, promptTokens: 60 });
        for (const place of [0, 2]) list.weights[list.add(place, place)] = 1;
      }
      places.push(list.places[picker.pick(list, random)] ?? -1);
    }
    expect(count(places.slice(0, 200), 3)).toEqual([100, 0, 100]);
    expect(count(places.slice(200), 3)[1]).toBeGreaterThan(20);
  });
}

function proveFairness(picker: Picker): void {
  test.each([
    [2, 0],
    [3, 0],
    [8, 0],
    [64, 0],
    [8, 12],
    [64, 100],
  ])(
    "fairness: %d equals get equal shares within 2 %% in 100,000 picks, each lasting %d",
    (size, lasts) => {
      for (const each of count(
        pickOften(picker, { weights: equals(size), lasts }, 100_000),
        size,
      )) {
        expect(Math.abs((each * size) / 100_000 - 1)).toBeLessThan(0.02);
      }
    },
  );

  test.each([
    { weights: [1, 2], lasts: 0 },
    { weights: [1, 2, 5], lasts: 0 },
    { weights: [1, 2], lasts: 60 },
    { weights: [1, 2, 5], lasts: 160 },
  ])(
    "fairness: shares are as the weights $weights, with calls that last $lasts picks",
    ({ weights, lasts }) => {
      const counts = count(pickOften(picker, { weights, lasts }, 100_000), weights.length);
      const total = weights.reduce((sum, each) => sum + each, 0);
      for (const [place, weight] of weights.entries()) {
        expect((counts[place] ?? 0) / 100_000 / (weight / total)).toBeCloseTo(1, 1);
      }
    },
  );
}

function proveStart(picker: Picker): void {
  test("exploration: every backend with weight is picked in time, also the loaded and the light one", () => {
    const world = { weights: [0.2, 1, 1, 1, 1], pending: [900], lasts: Number.POSITIVE_INFINITY };
    expect(new Set(pickOften(picker, world, 500))).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  test.each([0, 30, Number.POSITIVE_INFINITY])(
    "slow start: who has a tenth of its weight gets a tenth of the picks, with calls that last %d picks",
    (lasts) => {
      const [a = 0, b = 0, ramping = 0] = count(
        pickOften(picker, { weights: [1, 1, 0.1], lasts }, 2_100),
        3,
      );
      expect(ramping).toBeGreaterThan(50);
      expect(ramping).toBeLessThan(200);
      expect(Math.abs(a - b)).toBeLessThan(200);
    },
  );

  test("slow start: who returns is not given at once what it missed", () => {
    const random = seededRandom("return");
    const list = listFor([1, 1, 1, 1]);
    for (let pick = 0; pick < 10_000; pick++) picker.pick(fill(list, [1, 1, 1, 0], []), random);
    const places = Array.from({ length: 100 }, () =>
      picker.pick(fill(list, [1, 1, 1, 0.1], []), random),
    );
    expect(count(places, 4)[3]).toBeLessThan(10);
  });
}
