import fc from "fast-check";
import { expect, test } from "vitest";
import { nearestWord } from "./nearest-word.ts";

const fields = ["firstTokenMs", "betweenTokensMs", "weight", "url", "models", "peers"];

test.each([
  ["weigth", "weight"],
  ["Weight", "weight"],
  ["first_token_ms", "firstTokenMs"],
  ["between-token-ms", "betweenTokensMs"],
  ["uri", "url"],
  ["model", "models"],
  ["peer", "peers"],
  ["temperature", undefined],
  ["", undefined],
  ["x".repeat(1_000), undefined],
])("%j was meant to be %j", (text, expected) => {
  expect(nearestWord(text, fields)).toBe(expected);
});

test("a word is nearest to itself", () => {
  fc.assert(fc.property(fc.constantFrom(...fields), (word) => nearestWord(word, fields) === word));
});
