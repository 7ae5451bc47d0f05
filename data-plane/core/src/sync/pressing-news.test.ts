import { expect, test } from "vitest";
import { isPressing } from "./pressing-news.ts";

const before = { failed: 3, succeeded: 10, ejected: false };

test.each([
  ["nothing new", {}, false],
  ["one failure, which may be chance", { failed: 4 }, false],
  ["two failures among few", { failed: 5, succeeded: 18 }, true],
  ["two failures among many", { failed: 5, succeeded: 19 }, false],
  ["an ejection", { ejected: true }, true],
  ["counts that began anew", { failed: 0, succeeded: 2 }, false],
])("%s since the last report: pressing", (_, more, expected) => {
  expect(isPressing(before, { ...before, ...more })).toBe(expected);
});

test("a backend that was never reported presses by all that was counted of it", () => {
  expect(isPressing(undefined, before)).toBe(true);
  expect(isPressing(undefined, { ...before, failed: 2, succeeded: 40 })).toBe(false);
});
