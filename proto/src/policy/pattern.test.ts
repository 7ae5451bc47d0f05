import fc from "fast-check";
import { expect, test } from "vitest";
import { matchesPattern } from "./pattern.ts";

test.each([
  ["*", "", true],
  ["*", "llama", true],
  ["llama-*", "llama-70b", true],
  ["llama-*", "llama-", true],
  ["llama-*", "llama", false],
  ["*70b", "llama-70b", true],
  ["a*a", "a", false],
  ["a*b*c", "axxbyyc", true],
  ["a*b*c", "acb", false],
  ["a.c", "abc", false],
  ["", "", true],
  ["", "a", false],
])("%j on %j: %s", (pattern, name, expected) => {
  expect(matchesPattern(pattern, name)).toBe(expected);
});

test("a pattern matches what the same regular expression matches", () => {
  const few = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 8 });
  fc.assert(
    fc.property(few, few, (pattern, text) => {
      const name = text.replaceAll("*", "");
      const oracle = new RegExp(`^${pattern.replaceAll("*", ".*")}$`, "s");
      expect(matchesPattern(pattern, name)).toBe(oracle.test(name));
    }),
    { numRuns: 2_000 },
  );
});

test("a pattern that fits another pattern fits all that the other fits: how shadowed routes are found", () => {
  const few = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 6 });
  fc.assert(
    fc.property(few, few, few, (broad, narrow, text) => {
      const name = text.replaceAll("*", "");
      fc.pre(matchesPattern(broad, narrow) && matchesPattern(narrow, name));
      return matchesPattern(broad, name);
    }),
  );
});
