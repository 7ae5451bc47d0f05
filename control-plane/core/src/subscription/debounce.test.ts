import fc from "fast-check";
import { expect, test } from "vitest";
import { debounceDueAt, debounceLimits, noteChange, quiet } from "./debounce.ts";

test("without a change nothing is due", () => {
  expect(debounceDueAt(quiet)).toBeUndefined();
});

test("a single change is published after the quiet time", () => {
  expect(debounceDueAt(noteChange(quiet, 1_000))).toBe(1_050);
});

test("a change within the quiet time puts it off, but never beyond the cap", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(49), { minLength: 1, maxLength: 100 }), (gaps) => {
      let now = 1_000;
      let state = noteChange(quiet, now);
      for (const gap of gaps) {
        if ((debounceDueAt(state) ?? 0) <= now + gap) break;
        now += gap;
        state = noteChange(state, now);
      }
      const due = debounceDueAt(state) ?? Number.NaN;
      expect(due).toBeLessThanOrEqual(1_000 + debounceLimits.capMs);
      expect(due).toBe(Math.min(now + debounceLimits.quietMs, 1_000 + debounceLimits.capMs));
    }),
  );
});
