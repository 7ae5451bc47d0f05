import { expect, test } from "vitest";
import { answerTo, embed } from "./answer.ts";
import { parseModelSpec } from "./model-size.ts";
import { prefixBlocks, prefixCache } from "./prefix-cache.ts";

function textOf(model: string, prompt: string): string {
  const answer = answerTo(model, prompt);
  return Array.from({ length: answer.naturalTokens }, (_, index) => answer.token(index)).join("");
}

test("equal requests get equal answers, other models and prompts other ones", () => {
  expect(textOf("m", "hello")).toBe(textOf("m", "hello"));
  expect(textOf("m", "hello")).not.toBe(textOf("n", "hello"));
  expect(textOf("m", "hello")).not.toBe(textOf("m", "hellp"));
  expect(textOf("m", "hello").endsWith(".")).toBe(true);
});

test("an embedding is a unit vector, and near to that of a similar text", () => {
  const dot = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, each, index) => sum + each * (b[index] ?? 0), 0);
  const cat = embed("e", "the cat sat on the mat", 64);
  expect(dot(cat, cat)).toBeCloseTo(1, 5);
  const near = dot(cat, embed("e", "the cat sat on a mat", 64));
  expect(near).toBeGreaterThan(dot(cat, embed("e", "stocks fell sharply today", 64)));
});

test("a block's name depends on all before it", () => {
  const [first, second] = prefixBlocks("a".repeat(2_048));
  expect(first).not.toBe(second);
  expect(prefixBlocks(`b${"a".repeat(2_047)}`)[1]).not.toBe(second);
});

test("the least recently used block leaves first", () => {
  const cache = prefixCache(2);
  cache.insert([1]);
  cache.insert([2]);
  expect(cache.match([1])).toBe(1);
  cache.insert([3]);
  expect([cache.match([1]), cache.match([2]), cache.match([3])]).toEqual([1, 0, 1]);
});

test.each(["", "name", "name:huge", "name:1", "name:1:x", "name:1:2:3:4:5:6:7", "name:large:1"])(
  "a model written as %j is refused",
  (text) => {
    expect(parseModelSpec(text).kind).toBe("err");
  },
);

test("a model is a preset or numbers", () => {
  expect(parseModelSpec("a:large")).toMatchObject({ kind: "ok", value: { name: "a" } });
  expect(parseModelSpec("a:0.5:3:0.1:2:4")).toMatchObject({
    kind: "ok",
    value: { size: { prefillMsPerToken: 0.5, decodeMs: 3, slots: 2, queueMax: 4 } },
  });
});
