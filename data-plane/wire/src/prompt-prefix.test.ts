import fc from "fast-check";
import { expect, test } from "vitest";
import { openai } from "./openai/index.ts";
import { hashPrefix, prefixBlockLength, prefixBlocksMax } from "./prompt-prefix.ts";

const hash = (text: string, seed = "m", start = 0) =>
  hashPrefix(Buffer.from(text, "latin1"), start, seed);

/** Text of some blocks and a bit, by a seed that is the test's own. */
const texts = fc
  .record({
    unit: fc.string({ minLength: 1, maxLength: 50, unit: "binary-ascii" }),
    length: fc.nat(prefixBlockLength * 5),
  })
  .map(({ unit, length }) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length));

test("equal beginnings give equal leading numbers, whatever follows and wherever they stand", () => {
  fc.assert(
    fc.property(texts, texts, texts, fc.string(), (head, one, other, before) => {
      const blocks = Math.floor(head.length / prefixBlockLength);
      const leading = hash(head);
      expect(leading).toHaveLength(blocks);
      expect(hash(head + one).slice(0, blocks)).toEqual(leading);
      const moved = hash(before + head + other, "m", before.length);
      expect(moved.slice(0, blocks)).toEqual(leading);
    }),
  );
});

test("a change in a block changes its number and all later ones, and none before", () => {
  const bodies = texts.filter((each) => each.length >= prefixBlockLength);
  fc.assert(
    fc.property(bodies, fc.nat(), fc.integer({ min: 1, max: 255 }), (text, place, by) => {
      const length = Math.floor(text.length / prefixBlockLength) * prefixBlockLength;
      const at = place % length;
      const code = text.charCodeAt(at) ^ by;
      const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
      const [before, after] = [hash(text), hash(changed)];
      const block = Math.floor(at / prefixBlockLength);
      expect(after.slice(0, block)).toEqual(before.slice(0, block));
      for (let each = block; each < before.length; each++) {
        expect(after[each]).not.toBe(before[each]);
      }
    }),
  );
});

test("the numbers are of 32 bits, go no further than 64 blocks, and depend on the seed", () => {
  const long = "x".repeat(prefixBlockLength * (prefixBlocksMax + 3));
  const hashes = hash(long);
  expect(hashes).toHaveLength(prefixBlocksMax);
  expect(hashes.every((each) => Number.isInteger(each) && each >= 0 && each < 2 ** 32)).toBe(true);
  // Blocks of one text differ by what comes before them.
  expect(new Set(hashes).size).toBe(prefixBlocksMax);
  expect(hash(long, "n")[0]).not.toBe(hashes[0]);
  expect(hash("x".repeat(prefixBlockLength - 1))).toEqual([]);
  expect(hash("x", "m", 2)).toEqual([]);
});

test("one bit of a block changes about half of the bits of its number", () => {
  const text = "a".repeat(prefixBlockLength);
  let flipped = 0;
  for (let at = 0; at < prefixBlockLength; at++) {
    const changed = `${text.slice(0, at)}c${text.slice(at + 1)}`;
    const difference = (hash(text)[0] ?? 0) ^ (hash(changed)[0] ?? 0);
    flipped += (difference >>> 0).toString(2).replaceAll("0", "").length;
  }
  expect(flipped / prefixBlockLength / 32).toBeGreaterThan(0.47);
  expect(flipped / prefixBlockLength / 32).toBeLessThan(0.53);
});

const prompt = (kind: "chat" | "completion" | "embedding", body: string) => {
  const start = openai.findPrompt(kind, body);
  return start === undefined ? undefined : body.slice(start);
};

test.each([
  [
    "chat",
    '{"model":"m","messages":[{"role":"user","content":"a ] }"}],"n":1}',
    '[{"role":"user","content":"a ] }"}]',
  ],
  ["chat", '{"tools":[{"messages":[1]}],"messages" : [ ] }', "[ ]"],
  ["chat", '{"x":"\\"messages\\":[1]","m\\u0065ssages":[2]}', "[2]"],
  ["chat", '{"messages":[]}', "[]"],
  ["completion", '{"prompt":"a \\" b","model":"m"}', '"a \\" b"'],
  ["completion", '{"model":"m","prompt":["a","b"]}', '["a","b"]'],
  ["embedding", '{"prompt":"x","input":"y"}', '"y"'],
  ["embedding", '{"input":[1,2,3]}', "[1,2,3]"],
  ["chat", '{"model":"m"}', undefined],
  ["completion", "{}", undefined],
  ["chat", "", undefined],
  ["chat", "[]", undefined],
] as const)("the prompt of a %s request %o begins at %o", (kind, body, expected) => {
  expect(prompt(kind, body)?.slice(0, expected?.length)).toBe(expected);
});

test("the prompt of any valid body is found where JSON.parse reads it", () => {
  const value = fc.jsonValue({ maxDepth: 3 });
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), value, fc.nat(), (fields, messages, at) => {
      const { messages: _, ...others } = fields;
      const entries = Object.entries(others);
      entries.splice(at % (entries.length + 1), 0, ["messages", messages]);
      // fromEntries would set a prototype; JSON.stringify takes own fields alone.
      const body = `{${entries.map(([name, each]) => `${JSON.stringify(name)}: ${JSON.stringify(each)}`).join(" , ")}}`;
      const found = prompt("chat", Buffer.from(body).toString("latin1")) ?? "";
      const written = Buffer.from(JSON.stringify(messages)).toString("latin1");
      expect(found.slice(0, written.length)).toBe(written);
    }),
  );
});

test("two turns of one conversation begin alike", () => {
  const turns = [
    { role: "system", content: "You are ".repeat(400) },
    { role: "user", content: "Tell me of ".repeat(200) },
  ];
  const chain = (messages: readonly object[]) => {
    const body = JSON.stringify({ model: "m", messages, stream: true });
    return hash(body, "m", openai.findPrompt("chat", body));
  };
  const first = chain(turns);
  const second = chain([
    ...turns,
    { role: "assistant", content: "Once " },
    { role: "user", content: "More" },
  ]);
  expect(first).toHaveLength(5);
  expect(second.slice(0, 5)).toEqual(first);
});
