import fc from "fast-check";
import { expect, test } from "vitest";
import { asciiJson } from "../byte-text.ts";
import type { StreamOptions, StreamTap } from "../protocol.ts";
import { readAnswer } from "./response.ts";
import { openStream } from "./stream.ts";
import { renderSeam, streamOf } from "./stream-frames.ts";

function encodeUtf8(text: string): string {
  return Buffer.from(text).toString("latin1");
}

const options: StreamOptions = {
  kind: "chat",
  clientModel: "m",
  choices: 1,
  includeUsage: true,
  keepsText: true,
  after: undefined,
};

function chunk(
  server: string,
  delta: object,
  finish: string | null = null,
  more: object = {},
): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  const event = { id: server, created: server.length, model: "up", choices, ...more };
  return encodeUtf8(`data: ${JSON.stringify(event)}\n\n`);
}

const role = (server: string) => chunk(server, { role: "assistant", content: "" });
const say = (server: string, words: readonly string[]) =>
  words.map((content) => chunk(server, { content })).join("");
const end = (server: string, prompt: number, completion: number) =>
  chunk(server, {}, "stop") +
  `data: ${JSON.stringify({
    id: server,
    choices: [],
    usage: {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
    },
  })}\n\ndata: [DONE]\n\n`;

type Event = {
  readonly id: string;
  readonly created: number;
  readonly choices: readonly {
    readonly delta: { readonly content?: string; readonly role?: string };
  }[];
  readonly usage?: object;
};

function eventsOf(out: string): readonly Event[] {
  return Buffer.from(out, "latin1")
    .toString("utf8")
    .split("\n\n")
    .filter((each) => each.startsWith("data: {"))
    .map((each) => JSON.parse(each.slice(6)) as Event);
}

function textOf(out: string): string {
  return eventsOf(out)
    .map((each) => each.choices[0]?.delta.content ?? "")
    .join("");
}

/** The stream that broke after these words, and what the client got of it. */
function broken(words: readonly string[]): { readonly tap: StreamTap; readonly out: string } {
  const tap = openStream(options);
  const out = tap.push(role("first") + say("first", words));
  return { tap, out };
}

const words = ["Über ", "den ", "Wolken ", "muss ", "die ", "Freiheit ", "wohl ", "😀 ", "sein"];

test("two servers' parts are one answer: text, id, role, usage", () => {
  for (let cut = 1; cut < words.length; cut++) {
    const { tap, out } = broken(words.slice(0, cut));
    expect(tap.partial()).toEqual({ text: words.slice(0, cut).join(""), tokens: cut });
    const next = openStream({ ...options, after: tap });
    const rest = next.push(
      role("second") + say("second", words.slice(cut)) + end("second", 10 + cut, 9 - cut),
    );
    expect(next).toMatchObject({ complete: true, fault: undefined, contentEvents: words.length });
    const events = eventsOf(out + rest);
    expect(textOf(out + rest)).toBe(words.join(""));
    expect(new Set(events.map((each) => each.id))).toEqual(new Set(["first"]));
    expect(events.filter((each) => each.choices[0]?.delta.role !== undefined)).toHaveLength(1);
    expect(events.at(-1)?.usage).toEqual({
      prompt_tokens: 10,
      completion_tokens: 9,
      total_tokens: 19,
    });
    expect(next.usage).toEqual({ inputTokens: 10, outputTokens: 9 });
  }
});

test("words that a server says again are not said twice, however they are cut", () => {
  const piece = fc.integer({ min: 1, max: 9 });
  const whole = words.join("");
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 40, maxLength: 60 }),
      fc.integer({ min: 5, max: 8 }),
      (sizes, cut) => {
        const { tap, out } = broken(words.slice(0, cut));
        const next = openStream({ ...options, after: tap });
        let rest = next.push(role("second"));
        let at = 0;
        for (const size of sizes) {
          const content = [...whole].slice(at, at + size).join("");
          at += size;
          if (content !== "") rest += next.push(chunk("second", { content }));
        }
        rest += next.push(end("second", 1, 1));
        expect(textOf(out + rest)).toBe(whole);
        expect(next.complete).toBe(true);
      },
    ),
  );
});

test("what only begins like an echo is all passed on", () => {
  const { tap, out } = broken(words.slice(0, 6));
  const next = openStream({ ...options, after: tap });
  const again = ["Über ", "den ", "Bergen"];
  const rest = next.push(say("second", again) + end("second", 1, 1));
  expect(textOf(out + rest)).toBe([...words.slice(0, 6), ...again].join(""));
});

test("an answer that ends while it still looks like an echo is passed on", () => {
  const { tap, out } = broken(words.slice(0, 6));
  const next = openStream({ ...options, after: tap });
  const rest = next.push(say("second", ["Über ", "den "]) + end("second", 1, 2));
  expect(textOf(out + rest)).toBe([...words.slice(0, 6), "Über ", "den "].join(""));
  expect(next.complete).toBe(true);
});

test("an echo that no sentinel ends is lost neither in part nor as a whole", () => {
  const { tap, out } = broken(words.slice(0, 6));
  const held = openStream({ ...options, includeUsage: false, after: tap });
  const last = chunk("second", { content: "den " }, "stop").trimEnd();
  const rest = held.push(say("second", ["Über "]) + last) + held.end();
  expect(textOf(out + rest)).toBe([...words.slice(0, 6), "Über ", "den "].join(""));
  expect(held).toMatchObject({ complete: true, contentEvents: 8 });
  expect(rest).toMatch(/\}\n\ndata: \[DONE\]\n\n$/);
  const whole = openStream({ ...options, includeUsage: false, after: tap });
  const echo = chunk("second", { content: words.slice(0, 6).join("") }, "stop");
  expect(textOf(whole.push(echo) + whole.end())).toBe("");
  expect(whole).toMatchObject({ complete: true, contentEvents: 6 });
});

test("one phrase over and over is no echo", () => {
  const phrase = "Hip hip hurra! ";
  const { tap, out } = broken([phrase, phrase]);
  const next = openStream({ ...options, after: tap });
  const rest = next.push(say("second", [phrase, phrase]) + end("second", 1, 2));
  expect(textOf(out + rest)).toBe(phrase.repeat(4));
});

test("an echo is known as such whether escapes or bytes stand for its characters", () => {
  const { tap, out } = broken(words.slice(0, 8));
  const escaped = (text: string) =>
    `data: ${asciiJson({ choices: [{ index: 0, delta: { role: "assistant", content: text } }] })}\n\n`;
  const next = openStream({ ...options, after: tap });
  const rest = next.push(escaped(words.slice(0, 8).join("")) + escaped("s") + escaped("ein"));
  expect(textOf(out + rest)).toBe(words.join(""));
  expect(next.partial()?.text).toBe(words.join(""));
  expect(rest).not.toContain("role");
});

test("what was held of a stream that breaks is not the client's, and not gone on from", () => {
  const { tap, out } = broken(words.slice(0, 6));
  const next = openStream({ ...options, after: tap });
  const rest = next.push(`${say("second", ["Über ", "den "])}data: {"error":{"message":"x"}}\n\n`);
  expect(rest).toBe("");
  expect(next).toMatchObject({ semantic: false, fault: { kind: "error-frame" } });
  expect(next.partial()?.text).toBe(words.slice(0, 6).join(""));
  expect(textOf(out)).toBe(words.slice(0, 6).join(""));
});

test("a filter's event before the answer does not give the answer its id", () => {
  const filters = 'data: {"id":"","created":0,"choices":[],"prompt_filter_results":[]}\n\n';
  const tap = openStream(options);
  tap.push(filters + say("first", ["a"]));
  const next = openStream({ ...options, after: tap });
  const more = { system_fingerprint: "fp" };
  const rest = next.push(filters + chunk("second", { content: "b" }, null, more));
  expect(eventsOf(rest)).toEqual([expect.objectContaining({ id: "first" })]);
  expect(rest).not.toContain("fp");
});

test("what is no UTF-8 and half a character are not gone on from", () => {
  const bytes = openStream(options);
  bytes.push('data: {"choices":[{"index":0,"delta":{"content":"\u00ff"}}]}\n\n');
  expect(bytes).toMatchObject({ semantic: true, continuable: false });
  const halves = openStream(options);
  const half = (unit: string) =>
    `data: {"choices":[{"index":0,"delta":{"content":"\\u${unit}"}}]}\n\n`;
  halves.push(half("d83d"));
  expect(halves.partial()).toBeUndefined();
  halves.push(half("de00"));
  expect(halves.partial()?.text).toBe("😀");
});

const piece = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });

test("whatever the text, its pieces, and how it is written, both parts together are the text", () => {
  const write = fc.constantFrom("bytes", "escapes", "with role", "legacy");
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 1 }),
      fc.nat(),
      write,
      fc.nat(99),
      (pieces, at, how, size) => {
        const kind = how === "legacy" ? "completion" : "chat";
        const given: StreamOptions = { ...options, kind, includeUsage: false };
        const event = (content: string, finish: string | null) => {
          const delta = how === "with role" ? { role: "assistant", content } : { content };
          const said = how === "legacy" ? { text: content } : { delta };
          const value = { id: how, choices: [{ index: 0, ...said, finish_reason: finish }] };
          return `data: ${how === "escapes" ? asciiJson(value) : encodeUtf8(JSON.stringify(value))}\n\n`;
        };
        const cut = 1 + (at % pieces.length);
        const first = openStream(given);
        let out = first.push(
          pieces
            .slice(0, cut)
            .map((each) => event(each, null))
            .join(""),
        );
        const next = openStream({ ...given, after: first });
        const rest = `${pieces
          .slice(cut)
          .map((each) => event(each, null))
          .join("")}${event("", "stop")}data: [DONE]\n\n`;
        for (let from = 0; from < rest.length; from += size + 1)
          out += next.push(rest.slice(from, from + size + 1));
        expect(next.complete).toBe(true);
        const said = Buffer.from(out, "latin1")
          .toString()
          .split("\n\n")
          .filter((each) => each.startsWith("data: {"));
        const text = said.map((each) => {
          const [choice] = JSON.parse(each.slice(6)).choices;
          return choice.text ?? choice.delta.content;
        });
        expect(text.join("")).toBe(pieces.join(""));
      },
    ),
  );
});

test("a third server goes on from both", () => {
  const first = broken(words.slice(0, 2));
  const second = openStream({ ...options, after: first.tap });
  const middle = second.push(role("second") + say("second", words.slice(2, 5)));
  expect(second.partial()?.text).toBe(words.slice(0, 5).join(""));
  const third = openStream({ ...options, after: second });
  const rest = third.push(say("third", words.slice(5)) + end("third", 3, 4));
  expect(textOf(first.out + middle + rest)).toBe(words.join(""));
});

test.each<[string, string]>([
  ["a tool's call", chunk("s", { tool_calls: [{ index: 0 }] })],
  ["thinking", chunk("s", { reasoning_content: "hm" })],
  ["a refusal", chunk("s", { refusal: "no" })],
  ["its end", chunk("s", {}, "stop")],
])("after %s nothing is gone on from", (_, event) => {
  const tap = openStream(options);
  tap.push(say("s", ["a"]));
  expect(tap.continuable).toBe(true);
  tap.push(event);
  expect(tap.continuable).toBe(false);
  expect(tap.partial()).toBeUndefined();
});

test("a long text is not kept, nor one that nobody will go on from", () => {
  const tap = openStream(options);
  tap.push(say("s", ["x".repeat(262_145)]));
  expect(tap.partial()).toBeUndefined();
  const without = openStream({ ...options, keepsText: false });
  without.push(say("s", ["x"]));
  expect(without.partial()).toBeUndefined();
});

test("a client that did not ask sees no usage, whatever the server's way to tell it", () => {
  const given = { ...options, includeUsage: false, keepsText: false };
  const usage = { prompt_tokens: 1, completion_tokens: 2 };
  for (const more of [{ usage: null }, { usage }, { x: { usage: 1 }, usage }]) {
    const tap = openStream(given);
    const out = tap.push(chunk("s", { content: "a" }, null, more) + end("s", 1, 2));
    expect(eventsOf(out).every((each) => !("usage" in each))).toBe(true);
    expect(textOf(out)).toBe("a");
    expect(tap.usage).toEqual({ inputTokens: 1, outputTokens: 2 });
  }
});

test("a whole answer's escapes become no bytes that are no UTF-8", () => {
  const body =
    '{"choices":[{"index":0,"message":{"content":"\\u00fc\\ud83d\\ude00"},"finish_reason":"stop"}]}';
  expect(textOf(streamOf(body, options))).toBe("ü😀");
});

test("a whole answer becomes the stream that says the same", () => {
  const body = encodeUtf8(
    JSON.stringify({
      id: "1",
      created: 7,
      model: "up",
      choices: [
        { index: 0, message: { role: "assistant", content: "Grüße" }, finish_reason: "stop" },
        {
          index: 1,
          message: { role: "assistant", content: null, tool_calls: [{ id: "c", function: {} }] },
          finish_reason: "tool_calls",
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    }),
  );
  const two = { ...options, choices: 2 };
  expect(readAnswer(body, two).kind).toBe("answer");
  const tap = openStream(two);
  const out = tap.push(streamOf(body, two));
  expect(tap).toMatchObject({ complete: true, usage: { inputTokens: 1, outputTokens: 2 } });
  expect(textOf(out)).toBe("Grüße");
  expect(out).toContain('"tool_calls":[{"index":0,"id":"c"');
  expect(out.endsWith("data: [DONE]\n\n")).toBe(true);
});

test("the mark of a seam is one comment, whatever it says", () => {
  expect(renderSeam("went on\n\ndata: x ü")).toBe(": went on??data: x ?\n\n");
});
