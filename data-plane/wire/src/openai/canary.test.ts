import { expect, test } from "vitest";
import { readCanary, renderCanary } from "./canary.ts";

test("a chat canary is short, cold and not streamed; an embedding is one text", () => {
  const chat = renderCanary("org/m", { kind: "chat", prompt: "Zwei plus zwei? ü", maxTokens: 4 });
  expect(chat.kind).toBe("chat");
  expect(JSON.parse(chat.body)).toEqual({
    model: "org/m",
    messages: [{ role: "user", content: "Zwei plus zwei? ü" }],
    max_tokens: 4,
    temperature: 0,
    seed: 1,
    stream: false,
  });
  const embedding = renderCanary("e", { kind: "embedding", input: "blue" });
  expect(JSON.parse(embedding.body)).toMatchObject({ model: "e", input: "blue" });
});

test.each<[string, string, object | undefined]>([
  [
    "a chat",
    '{"model":"m","choices":[{"message":{"role":"assistant","content":"4"}}]}',
    { model: "m", text: "4", vector: [] },
  ],
  [
    "thinking without a word",
    '{"model":"m","choices":[{"message":{"content":null,"reasoning_content":"so"}}]}',
    { model: "m", text: "so", vector: [] },
  ],
  ["no choices", '{"model":"m","choices":[]}', { model: "m", text: "", vector: [] }],
  [
    "an embedding",
    '{"model":"e","data":[{"embedding":[0.5,-1]}]}',
    { model: "e", text: "", vector: [0.5, -1] },
  ],
  [
    "an embedding in base64",
    '{"model":"e","data":[{"embedding":"AAAA"}]}',
    { model: "e", text: "", vector: [] },
  ],
  ["an error in a 200", '{"error":{"message":"no"}}', undefined],
  ["no JSON", "<html>", undefined],
  ["nothing", "", undefined],
])("%s is read as it is", (_, body, expected) => {
  expect(readCanary(body)).toEqual(expected);
});
