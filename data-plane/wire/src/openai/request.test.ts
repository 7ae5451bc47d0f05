import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRequest } from "./request.ts";
import { upstreamBody } from "./upstream-body.ts";

function bytes(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("latin1");
}

test("the facts of a chat request are read", () => {
  const body = bytes({
    model: "größe/7b",
    stream: true,
    stream_options: { include_usage: true },
    n: 2,
    max_completion_tokens: 10,
    messages: [{ role: "user", content: "x".repeat(396) }],
  });
  const decoded = decodeRequest("chat", body);
  expect(decoded).toMatchObject({
    kind: "ok",
    value: {
      model: "größe/7b",
      stream: true,
      includeUsage: true,
      choices: 2,
      outputTokensMax: 20,
      inputTokens: 100,
    },
  });
});

test.each([
  ["completion", { model: "m", prompt: ["a", "b"], n: 2 }, { choices: 4 }],
  ["completion", { model: "m", prompt: [1, 2, 3] }, { choices: 1, inputTokens: 3 }],
  ["embedding", { model: "m", input: "abcd", stream: true }, { stream: false, inputTokens: 1 }],
  ["chat", { model: "m", messages: [], stream: null, max_tokens: null }, { stream: false }],
  [
    "chat",
    {
      model: "m",
      messages: [
        { content: [{ type: "image_url", image_url: { url: `data:${"A".repeat(9e5)}` } }] },
      ],
    },
    { inputTokens: 803 },
  ],
] as const)("a %s request %# has its facts", (kind, body, facts) => {
  expect(decodeRequest(kind, bytes(body))).toMatchObject({ kind: "ok", value: facts });
});

test("all problems are told at once, each with its path", () => {
  const body = bytes({ stream: 1, n: 0, max_tokens: -1, stream_options: [] });
  const decoded = decodeRequest("chat", body);
  expect(decoded.kind === "err" && decoded.error.map((each) => each.path)).toEqual([
    "model",
    "stream",
    "stream_options",
    "n",
    "messages",
    "max_tokens",
  ]);
});

test.each(["", "  ", "[]", "null", "7", '"x"', "{", '{"model":"m"'])(
  "the body %o is refused",
  (body) => {
    expect(decodeRequest("chat", body).kind).toBe("err");
  },
);

test("no body makes the decoder throw, and no message quotes the body", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
      const marked = `${body}PROMPT`;
      const decoded = decodeRequest("chat", marked);
      expect(JSON.stringify(decoded)).not.toContain("PROMPT");
    }),
  );
});

test("a renamed request keeps numbers that JSON.parse would lose", () => {
  const body = '{"seed":9007199254740993,"model":"m","top_p":1.0,"messages":[],"x":1e400}';
  const decoded = decodeRequest("chat", body);
  if (decoded.kind === "err") throw new Error("the body is valid");
  expect(
    upstreamBody(body, decoded.value, {
      model: "org/größe",
      continues: undefined,
      assistantPrefix: "none",
    }),
  ).toBe(
    '{"seed":9007199254740993,"model":"org/gr\\u00f6\\u00dfe","top_p":1.0,"messages":[],"x":1e400}',
  );
});

test("a key named __proto__ changes nothing", () => {
  const decoded = decodeRequest("chat", '{"__proto__":{"model":"evil"},"messages":[]}');
  expect(decoded.kind === "err" && decoded.error.map((each) => each.path)).toEqual(["model"]);
});
