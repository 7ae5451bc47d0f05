import fc from "fast-check";
import { expect, test } from "vitest";
import type { UpstreamBodyOptions } from "../protocol.ts";
import { decodeRequest } from "./request.ts";
import { upstreamBody } from "./upstream-body.ts";

function encodeUtf8(text: string): string {
  return Buffer.from(text).toString("latin1");
}

const plain: UpstreamBodyOptions = {
  model: undefined,
  continues: undefined,
  assistantPrefix: "none",
};

function forUpstream(
  body: string,
  options: Partial<UpstreamBodyOptions> = {},
  kind: "chat" | "completion" = "chat",
): string {
  const decoded = decodeRequest(kind, body);
  if (decoded.kind === "err") throw new Error(JSON.stringify(decoded.error));
  return upstreamBody(body, decoded.value, { ...plain, ...options });
}

test("what need not change is the very same text", () => {
  const whole = '{"model":"m","messages":[]}';
  expect(forUpstream(whole)).toBe(whole);
  const asked = '{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}';
  expect(forUpstream(asked, { model: "m" })).toBe(asked);
});

const inserted = ',"stream_options":{"include_usage":true}';

test.each([
  ["nothing", "", inserted],
  ["no options", ',"stream_options":null', inserted],
  ["empty options", ',"stream_options":{ }', ',"stream_options":{ "include_usage":true}'],
  ["no usage", ',"stream_options":{"include_usage":false}', inserted],
  ["nothing of usage", ',"stream_options":{"include_usage":null}', inserted],
  [
    "other things",
    ',"stream_options":{"x":[1.0, 9007199254740993],"\\u0079":"ü"}',
    ',"stream_options":{"x":[1.0, 9007199254740993],"\\u0079":"ü","include_usage":true}',
  ],
  [
    "two things",
    ',"stream_options":{"include_usage":false},"a":1,"stream_options":null',
    ',"stream_options":{"include_usage":true},"a":1,"stream_options":{"include_usage":true}',
  ],
  [
    "yes and no",
    ',"stream_options":{"include_usage":false},"stream_options":{"include_usage":true}',
    ',"stream_options":{"include_usage":true},"stream_options":{"include_usage":true}',
  ],
  [
    "it with escapes",
    ',"strea\\u006d_options":null',
    ',"strea\\u006d_options":{"include_usage":true}',
  ],
  [
    "it within a message",
    ',"x":"\\"stream_options\\"","y":["stream_options"]',
    `,"x":"\\"stream_options\\"","y":["stream_options"]${inserted}`,
  ],
])(
  "a stream whose client says %s is asked for usage, every other byte kept",
  (_, fields, expected) => {
    const head = '{"seed":9007199254740993,"model":"m" ,"messages":[],"stream":true';
    expect(forUpstream(`${head}${fields}}`)).toBe(`${head}${expected}}`);
  },
);

test("no usage is asked of what is no stream: some servers refuse that", () => {
  const body = '{"model":"m","messages":[],"stream":false,"stream_options":null}';
  expect(forUpstream(body)).toBe(body);
});

const stream = { model: "m", stream: true, messages: [{ role: "user", content: "hi" }] };
const partial = { text: 'Grüß "dich"\n😀', tokens: 5 };

test("an answer that goes on has the words so far at its end, and fewer tokens left", () => {
  const body = encodeUtf8(JSON.stringify({ ...stream, max_tokens: 20, max_completion_tokens: 3 }));
  const out = JSON.parse(forUpstream(body, { continues: partial, assistantPrefix: "append" }));
  expect(out).toMatchObject({
    messages: [stream.messages[0], { role: "assistant", content: partial.text }],
    max_tokens: 15,
    max_completion_tokens: 1,
  });
  expect(out).not.toHaveProperty("continue_final_message");
});

test("words of the assistant that the client put there are gone on from, in one message", () => {
  const last = { role: "assistant", content: "Ö, ", name: "x" };
  const body = encodeUtf8(JSON.stringify({ ...stream, messages: [...stream.messages, last] }));
  const out = forUpstream(body, { continues: partial, assistantPrefix: "append" });
  const read = JSON.parse(Buffer.from(out, "latin1").toString("utf8"));
  expect(read.messages).toEqual([...stream.messages, { ...last, content: `Ö, ${partial.text}` }]);
});

test("a server that must be told is told, once, also where another region put the words there", () => {
  const flags = { continue_final_message: true, add_generation_prompt: false };
  const assistantPrefix = "continue-final-message";
  const body = JSON.stringify(stream);
  expect(JSON.parse(forUpstream(body, { assistantPrefix }))).toMatchObject(flags);
  const said = JSON.stringify({ ...stream, add_generation_prompt: true });
  const out = forUpstream(said, { continues: partial, assistantPrefix });
  expect(JSON.parse(out)).toMatchObject(flags);
  expect(out.match(/add_generation_prompt/g)).toHaveLength(1);
});

test("a legacy completion goes on in its prompt, whose own bytes are kept", () => {
  const body = '{"model":"m","prompt":"Once \\u00fc\\/ \u00c3\u00bc","max_tokens":9,"stream":true}';
  const out = forUpstream(
    body,
    { continues: { text: "größer", tokens: 5 }, assistantPrefix: "append" },
    "completion",
  );
  expect(out).toBe(
    '{"model":"m","prompt":"Once \\u00fc\\/ \u00c3\u00bcgr\\u00f6\\u00dfer","max_tokens":4,"stream":true' +
      `${inserted}}`,
  );
});

test("an assistant's words are extended as they were written, escapes and bytes alike", () => {
  const message = '{"content":"\\u00d6 \u00c3\u00bc, ","role":"assistant" }';
  const body = `{"model":"m","stream":true,"messages":[ ${message} ]}`;
  const out = forUpstream(body, { continues: { text: "x", tokens: 1 }, assistantPrefix: "append" });
  expect(out).toContain(`"messages":[ ${message.replace(', "', ', x"')} ]`);
});

test("whatever the fields, the result is the same object with what was changed", () => {
  const fields = fc.dictionary(
    fc
      .string()
      .filter(
        (name) =>
          !["model", "messages", "stream", "stream_options", "n"].includes(name) &&
          !name.startsWith("max_"),
      ),
    fc.jsonValue(),
    { maxKeys: 5 },
  );
  fc.assert(
    fc.property(fields, fc.string(), fc.boolean(), (more, text, spaced) => {
      const request = { ...more, ...stream };
      const body = encodeUtf8(JSON.stringify(request, null, spaced ? 2 : 0));
      const out = forUpstream(body, {
        model: "other",
        continues: { text, tokens: 1 },
        assistantPrefix: "append",
      });
      const wellFormed = text.replace(/\p{Cs}/gu, "\ufffd");
      const read = JSON.parse(Buffer.from(out, "latin1").toString("utf8"));
      const said = read.messages[1].content.replace(/\p{Cs}/gu, "\ufffd");
      expect(said).toBe(wellFormed);
      expect({ ...read, messages: read.messages.slice(0, 1) }).toEqual(
        JSON.parse(
          Buffer.from(
            encodeUtf8(
              JSON.stringify({
                ...request,
                model: "other",
                stream_options: { include_usage: true },
              }),
            ),
            "latin1",
          ).toString("utf8"),
        ),
      );
    }),
  );
});

test.each<[string, object, boolean]>([
  ["plain text", {}, true],
  ["tools that may be called", { tools: [{ type: "function" }] }, true],
  ["text as its format", { response_format: { type: "text" } }, true],
  ["no format", { response_format: null, logprobs: false, n: 1, audio: null }, true],
  ["the assistant's words", { messages: [{ role: "assistant", content: "x" }] }, true],
  ["the assistant's parts", { messages: [{ role: "assistant", content: [] }] }, false],
  [
    "the assistant's call",
    { messages: [{ role: "assistant", content: "", tool_calls: [{}] }] },
    false,
  ],
  ["no message", { messages: [] }, false],
  ["a call that must come", { tools: [{}], tool_choice: "required" }, false],
  ["a named call", { tools: [{}], tool_choice: { type: "function" } }, false],
  ["a call that may come", { tools: [{}], tool_choice: "auto" }, true],
  ["a grammar", { guided_json: {} }, false],
  ["an echo", { echo: true }, false],
  ["structure", { response_format: { type: "json_object" } }, false],
  ["log-probabilities", { logprobs: true }, false],
  ["two answers", { n: 2 }, false],
  ["sound", { modalities: ["text", "audio"], audio: {} }, false],
  ["no stream", { stream: false }, false],
])("%s can be gone on from: %s", (_, more, expected) => {
  const decoded = decodeRequest("chat", JSON.stringify({ ...stream, ...more }));
  expect(decoded.kind === "ok" && decoded.value.continuable).toBe(expected);
});

test.each<[object, boolean]>([
  [{ prompt: "x" }, true],
  [{ prompt: ["x"] }, false],
  [{ prompt: "x", echo: true }, false],
  [{ prompt: "x", best_of: 2 }, false],
  [{ prompt: "x", best_of: null, suffix: null, logprobs: null }, true],
  [{ prompt: "x", logprobs: 0 }, false],
  [{ prompt: [1, 2] }, false],
  [{ prompt: "x", suffix: "y" }, false],
])("a legacy completion of %j can be gone on from: %s", (more, expected) => {
  const decoded = decodeRequest(
    "completion",
    JSON.stringify({ model: "m", stream: true, ...more }),
  );
  expect(decoded.kind === "ok" && decoded.value.continuable).toBe(expected);
});
