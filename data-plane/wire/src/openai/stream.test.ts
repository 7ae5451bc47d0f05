import { expect, test } from "vitest";
import type { StreamTap } from "../protocol.ts";
import { openStream } from "./stream.ts";

const options = {
  kind: "chat",
  clientModel: "m",
  choices: 1,
  includeUsage: false,
  keepsText: false,
  after: undefined,
} as const;

function chunk(delta: object, finish: string | null = null, more: object = {}): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ id: "1", model: "up/m", choices, ...more })}\n\n`;
}

const role = chunk({ role: "assistant", content: "" });
const word = chunk({ content: "wörd" });
const stop = chunk({}, "stop");
const usage = `data: {"model":"up/m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n`;
const done = "data: [DONE]\n\n";

function bytes(text: string): string {
  return Buffer.from(text).toString("latin1");
}

type Seen = { readonly tap: StreamTap; readonly out: string };

function follow(
  chunks: readonly string[],
  given: Parameters<typeof openStream>[0] = options,
): Seen {
  const tap = openStream(given);
  let out = "";
  for (const each of chunks) out += tap.push(bytes(each));
  if (!tap.complete && tap.fault === undefined) out += tap.end();
  return { tap, out: Buffer.from(out, "latin1").toString() };
}

test("a proper stream is passed on under the client's name of the model", () => {
  const { tap, out } = follow([role + word + stop + usage + done]);
  // Nobody asked for usage: it is read, and not passed on.
  expect(out).toBe((role + word + stop + done).replaceAll("up/m", "m"));
  const asked = { ...options, includeUsage: true };
  const whole = (role + word + stop + usage + done).replaceAll("up/m", "m");
  expect(follow([role + word + stop + usage + done], asked).out).toBe(whole);
  expect(tap).toMatchObject({
    semantic: true,
    complete: true,
    fault: undefined,
    contentEvents: 1,
    usage: { inputTokens: 5, outputTokens: 2 },
  });
});

test("bytes one by one give the same as all at once", () => {
  const text = `: hi\r\n\r\n${role}${word}${stop}${done}`;
  const split = openStream(options);
  let out = "";
  for (const byte of bytes(text)) out += split.push(byte);
  expect(out).toBe(bytes(follow([text]).out));
  expect(split.complete).toBe(true);
});

test.each([
  ["a comment", ": keep-alive\n\n"],
  ["a role", role],
  ["an empty delta", chunk({})],
  ["empty content", chunk({ content: "", refusal: null, tool_calls: [] })],
  ["a ping event", "event: ping\ndata: {}\n\n"],
  ["usage alone", usage],
])("%s is no token", (_, text) => {
  const tap = openStream(options);
  tap.push(text);
  expect(tap).toMatchObject({ semantic: false, complete: false, fault: undefined });
});

test.each([
  ["content", word],
  ["reasoning", chunk({ reasoning_content: "hm" })],
  ["a tool call", chunk({ tool_calls: [{ index: 0 }] })],
  ["a refusal", chunk({ refusal: "no" })],
  ["a finish for its length, without content", chunk({}, "length")],
  ["a filtered answer", chunk({}, "content_filter")],
  ["an empty answer that took tokens", stop + usage],
  ["text of a legacy completion", 'data: {"choices":[{"index":0,"text":"x"}]}\n\n'],
])("%s is a token", (_, text) => {
  const tap = openStream(options);
  tap.push(text);
  expect(tap.semantic).toBe(true);
});

test.each([
  ["nested", 'data: {"error":{"message":"oops"}}\n\n'],
  ["flat", 'data: {"object":"error","message":"oops"}\n\n'],
  ["text", 'data: {"error":"oops","error_type":"generation"}\n\n'],
  ["by its field", 'error: {"message":"oops"}\n\n'],
  ["by its event", 'event: error\ndata: {"error":{"message":"oops"}}\n\n'],
])("an error frame (%s) is a fault and is not passed on", (_, text) => {
  const { tap, out } = follow([word, text + word + done]);
  expect(tap.fault).toEqual({ kind: "error-frame", message: "the model server reported: oops" });
  expect(tap.complete).toBe(false);
  expect(out).toBe(word.replace("up/m", "m"));
});

test.each([
  "see http://10.0.0.1:8000/x",
  "Traceback (most recent call last)",
  "key sk-abc is wrong",
  "/usr/lib/python3/x.py",
])("an error text with %o is not shown", (message) => {
  const { tap } = follow([`data: ${JSON.stringify({ error: { message } })}\n\n`]);
  expect(tap.fault?.message).toBe("the model server reported an error");
});

test.each([
  ["nothing", "", "empty"],
  ["comments", ": a\n\n: b\n\n", "empty"],
  ["only the sentinel", done, "empty"],
  ["a role and the sentinel", role + done, "empty"],
  ["no finish", role + word, "truncated"],
  ["half an event", role + word + stop.slice(0, 30), "truncated"],
  ["broken JSON", `${word}data: {"a"\n\n`, "malformed"],
  ["a list", `${word}data: []\n\n`, "malformed"],
  ["an endless event", `${word}data: ${"x".repeat(1_100_000)}`, "malformed"],
])("a stream of %s is never complete", (_, text, kind) => {
  const { tap } = follow([text]);
  expect(tap).toMatchObject({ complete: false, fault: { kind } });
});

test.each([
  ["without its sentinel", role + word + stop],
  ["with an unterminated sentinel", `${role + word + stop}data: [DONE]`],
  ["with an unterminated last event", (role + word + stop).trimEnd()],
  ["with CRLF", (role + word + stop + done).replaceAll("\n", "\r\n")],
  ["with no space after data:", (role + word + stop + done).replaceAll("data: ", "data:")],
])("a finished stream %s is complete, and the client gets a sentinel", (_, text) => {
  const { tap, out } = follow([text]);
  expect(tap).toMatchObject({ complete: true, fault: undefined });
  expect(out).toMatch(/data:\s?\[DONE\]\r?\n\r?\n$/);
});

test("without its sentinel a stream is complete only when all that was asked for has come", () => {
  const both = { ...options, choices: 2 };
  expect(follow([word + stop], both).tap.fault?.kind).toBe("truncated");
  const withUsage = { ...options, includeUsage: true };
  expect(follow([word + stop], withUsage).tap.fault?.kind).toBe("truncated");
  expect(follow([word + stop + usage], withUsage).tap.complete).toBe(true);
});

test("of an answer whose words came from elsewhere nothing may be left to say", () => {
  expect(follow([role + stop + done]).tap.fault?.kind).toBe("empty");
  expect(follow([role + stop + done], { ...options, isRest: true }).tap.complete).toBe(true);
  expect(follow([role + done], { ...options, isRest: true }).tap.fault?.kind).toBe("empty");
});

test.each([
  ["a sentinel without a reason to end", role + word + done, "truncated"],
  ["an empty reason", role + chunk({ content: "a" }, "") + done, "truncated"],
  ["an answer given up", word + chunk({}, "abort") + done, "error-frame"],
  ["an answer that ends in an error", word + chunk({}, "error") + done, "error-frame"],
])("%s is no end", (_, text, kind) => {
  const { tap, out } = follow([text]);
  expect(tap).toMatchObject({ complete: false, fault: { kind } });
  expect(out).not.toContain("[DONE]");
});

test("of two answers that came, both must have ended; of two that were asked for one may come", () => {
  const both = { ...options, choices: 2 };
  const second = 'data: {"choices":[{"index":1,"delta":{"content":"b"}}]}\n\n';
  expect(follow([word + second + stop + done], both).tap.fault?.kind).toBe("truncated");
  expect(follow([word + stop + done], both).tap.complete).toBe(true);
});

test.each([
  ["in the event of its end", chunk({}, "stop", { usage: { completion_tokens: 1 } })],
  ["after its end", stop + usage],
])("an answer without a word is one if tokens are told %s", (_, text) => {
  expect(follow([role + text + done]).tap).toMatchObject({ complete: true, semantic: true });
  expect(follow([role + text]).tap.complete).toBe(true);
});

test("a filter's finding is passed on without the usage beside it", () => {
  const filters = { model: "m", choices: [], prompt_filter_results: [1] };
  const frame = `data: ${JSON.stringify({ ...filters, usage: { prompt_tokens: 1 } })}\n\n`;
  const { out } = follow([frame + word + stop + done]);
  expect(out.startsWith(`data: ${JSON.stringify(filters)}\n\n`)).toBe(true);
});

test.each([
  ["first", '{"usage":null,"model":"m","choices":[]}', '{"model":"m","choices":[]}'],
  ["alone", '{"usage":null}', "{}"],
  ["with spaces", '{"model":"m" , "usage" : null , "x":1}', '{"model":"m" , "x":1}'],
  ["beside another", '{"x":{"a":1,"usage":null},"usage":null}', '{"x":{"a":1,"usage":null}}'],
  ["on two lines", '{"model":"m",\ndata: "usage":null}', '{"model":"m"}'],
])("a null usage %s is taken out, every other byte kept", (_, event, expected) => {
  expect(openStream(options).push(`data: ${event}\n\n`)).toBe(`data: ${expected}\n\n`);
});

test("what follows the sentinel is not passed on", () => {
  const { out } = follow([word + stop + done + word, word]);
  expect(out).toBe((word + stop + done).replaceAll("up/m", "m"));
});

test("the model is renamed where keys differ in place and space, and never within content", () => {
  const odd =
    'data: {"choices":[{"index":0,"delta":{"content":"\\"model\\":\\"up/m\\""}}], "model" : "up/m"}\n\n';
  const { out } = follow([word + odd + stop + done]);
  expect(out).toContain('"content":"\\"model\\":\\"up/m\\""');
  expect(out).toContain('"model" : "m"');
});

const recorded = [
  `: started\n\n${role}${chunk({ content: "Hi" })}${word}${chunk({ content: " 🎉" })}${stop}${done}`,
  (
    role +
    chunk({ tool_calls: [{ index: 0, function: { arguments: '{"a"' } }] }) +
    stop +
    done
  ).replaceAll("\n", "\r\n"),
  `${role}${word}${stop}${usage}${done}`,
];

test.each(recorded)("recorded stream %# cut at any byte never looks complete", (text) => {
  const whole = bytes(text);
  const finishEnd = whole.indexOf('"finish_reason":"stop"');
  const wantsUsage = text.includes('"usage"');
  for (let cut = 0; cut < whole.length; cut++) {
    const tap = openStream({ ...options, includeUsage: wantsUsage });
    let out = tap.push(whole.slice(0, cut));
    if (!tap.complete) out += tap.end();
    const isCutContent = cut < finishEnd || (wantsUsage && cut < whole.indexOf('"usage"'));
    if (isCutContent) {
      expect(tap.complete).toBe(false);
      expect(tap.fault).toBeDefined();
      expect(out).not.toContain("[DONE]");
    } else if (tap.complete) {
      // Only marks of the protocol were cut: all of the answer is there.
      expect(contentOf(out)).toBe(contentOf(whole));
      expect(out).toContain("[DONE]");
    }
    // Whatever was cut, the client gets whole events alone.
    expect(out === "" || /[\r\n](\r\n|\r|\n)$/.test(out)).toBe(true);
  }
});

function contentOf(stream: string): string {
  return [...stream.matchAll(/"(?:content|arguments)":"((?:[^"\\]|\\.)*)"/g)]
    .map((each) => each[1])
    .join("|");
}
