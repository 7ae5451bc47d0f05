import { seededRandom } from "@meridian/proto/base";
import { describe, expect, test } from "vitest";
import { leastOutstanding } from "./least-outstanding.ts";
import { provePicker } from "./picker.contract.ts";
import { findPicker } from "./pickers.ts";

describe.each([leastOutstanding])("$name", (picker) => {
  provePicker(picker);
});

test("of two targets the one with less outstanding for its weight is picked", () => {
  const random = seededRandom("x");
  const pending = [1_000, 100];
  const load = { inFlight: () => 0, pendingTokens: (slot: number) => pending[slot] ?? 0 };
  const pool = { slots: [0, 1], weights: [1, 1], load, tokens: 10 };
  for (let pick = 0; pick < 100; pick++) expect(leastOutstanding.pick(pool, random)).toBe(1);
  const weighted = { ...pool, weights: [50, 1] };
  for (let pick = 0; pick < 100; pick++) expect(leastOutstanding.pick(weighted, random)).toBe(0);
});

test("a name that this build lacks falls back to least-outstanding", () => {
  expect(findPicker("cache-aware").name).toBe("least-outstanding");
});
