// What every picker must keep. A new one is added to the table in pickers.test.ts.

import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import type { LoadView, PickablePool, Picker } from "./picker.ts";

const idle: LoadView = { inFlight: () => 0, pendingTokens: () => 0 };

function pool(weights: readonly number[], load: LoadView = idle): PickablePool {
  return { slots: weights.map((_, place) => place * 3), weights, load, tokens: 100 };
}

/** Shares of many picks, by place. */
function shares(picker: Picker, from: PickablePool, picks = 20_000): readonly number[] {
  const random = seededRandom(`contract of ${picker.name}`);
  const counts = from.slots.map(() => 0);
  for (let pick = 0; pick < picks; pick++) {
    const place = picker.pick(from, random);
    counts[place] = (counts[place] ?? 0) + 1;
  }
  return counts.map((count) => count / picks);
}

/** The places of picks that all stay in flight: where load settles. */
function keepPicking(
  picker: Picker,
  start: { readonly weights: readonly number[]; readonly pending: readonly number[] },
  picks: number,
): readonly number[] {
  const pending = [...start.pending];
  const load: LoadView = {
    inFlight: (slot) => (pending[slot / 3] ?? 0) / 100,
    pendingTokens: (slot) => pending[slot / 3] ?? 0,
  };
  const from = pool(start.weights, load);
  const random = seededRandom(`picks of ${picker.name}`);
  return Array.from({ length: picks }, () => {
    const place = picker.pick(from, random);
    pending[place] = (pending[place] ?? 0) + 100;
    return place;
  });
}

/** Registers the tests of the contract for one picker. */
export function provePicker(picker: Picker): void {
  test("nobody is picked from an empty pool, or where no weight is", () => {
    const random = seededRandom("none");
    expect(picker.pick(pool([]), random)).toBe(-1);
    expect(picker.pick(pool([0, 0]), random)).toBe(-1);
  });

  test("equal seeds pick equally", () => {
    const from = pool([1, 2, 3]);
    const picks = (): readonly number[] => {
      const random = seededRandom("same");
      return Array.from({ length: 50 }, () => picker.pick(from, random));
    };
    expect(picks()).toEqual(picks());
  });

  test.each([2, 3, 8])("fairness: %d equal targets get equal shares", (count) => {
    for (const share of shares(picker, pool(new Array<number>(count).fill(1)))) {
      expect(Math.abs(share * count - 1)).toBeLessThan(0.1);
    }
  });

  test("exclusion: a weight of nothing is never picked", () => {
    const [first, second, third] = shares(picker, pool([1, 0, 1]));
    expect(second).toBe(0);
    expect(first).toBeGreaterThan(0.4);
    expect(third).toBeGreaterThan(0.4);
  });

  test("exploration: every target with weight is picked in time, also the loaded and the light one", () => {
    const places = keepPicking(
      picker,
      { weights: [0.2, 1, 1, 1, 1], pending: [900, 0, 0, 0, 0] },
      500,
    );
    expect(new Set(places)).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  test("slow start: a smaller share of the weight gets a smaller share of the picks, as load follows", () => {
    const places = keepPicking(picker, { weights: [1, 1, 0.1], pending: [0, 0, 0] }, 2_100);
    const [a = 0, b = 0, ramping = 0] = [0, 1, 2].map(
      (place) => places.filter((each) => each === place).length,
    );
    expect(ramping).toBeGreaterThan(50);
    expect(ramping).toBeLessThan(200);
    expect(Math.abs(a - b)).toBeLessThan(200);
  });
}
