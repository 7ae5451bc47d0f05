import fc from "fast-check";
import { expect, test } from "vitest";
import { type SseEvent, SseScanner } from "./sse.ts";

function scan(chunks: readonly string[]): readonly SseEvent[] {
  const scanner = new SseScanner();
  const events = chunks.flatMap((each) => [...scanner.push(each)]);
  const last = scanner.end();
  return last === undefined ? events : [...events, last];
}

test.each([
  ["LF", "data: a\n\ndata: b\n\n"],
  ["CRLF", "data: a\r\n\r\ndata: b\r\n\r\n"],
  ["bare CR", "data: a\r\rdata: b\r\r"],
  ["mixed ends", "data: a\r\n\ndata: b\n\r\n"],
  ["no space", "data:a\n\ndata:b\n\n"],
  ["a byte order mark", "\u00ef\u00bb\u00bfdata: a\n\ndata: b\n\n"],
  ["no last blank line", "data: a\n\ndata: b"],
])("with %s two events are read, however the bytes are cut", (_, text) => {
  const whole = scan([text]);
  expect(whole.map((each) => each.data).filter((each) => each !== undefined)).toEqual(["a", "b"]);
  const single = scan([...text]);
  expect(single.flatMap((each) => each.data ?? [])).toEqual(["a", "b"]);
});

test("several data lines are joined, an empty one counts, other fields are told apart", () => {
  const [event] = scan(["event: e\nid: 7\ndata: a\ndata\ndata:  b\nretry: 1\n\n"]);
  expect(event).toMatchObject({ name: "e", data: "a\n\n b", errorField: undefined });
});

test("comments and events without data have none", () => {
  expect(scan([": ping\n\nevent: ping\n\n"])).toMatchObject([
    { data: undefined, name: "" },
    { data: undefined, name: "ping" },
  ]);
});

test("a field named error is kept", () => {
  expect(scan(['error: {"code":500}\n\n'])).toMatchObject([{ errorField: '{"code":500}' }]);
});

test("an event beyond the limit stops the scanner", () => {
  const scanner = new SseScanner(10);
  expect(scanner.push("data: 1\n\ndata: 234567890")).toHaveLength(1);
  expect(scanner.overflowed).toBe(true);
  expect(scanner.push("\n\ndata: 1\n\n")).toEqual([]);
});

const line = fc.constantFrom("data: x", "data:y", "data", ": c", "event: e", "id: 1", "noise");
const end = fc.constantFrom("\n", "\r\n", "\r");
const stream = fc
  .array(fc.tuple(fc.oneof(line, fc.constant("")), end), { maxLength: 30 })
  .map((lines) => lines.map(([text, stop]) => text + stop).join(""));

test("the raw texts of all events are the stream, whatever its lines and cuts", () => {
  fc.assert(
    fc.property(stream, fc.infiniteStream(fc.nat(7)), (text, sizes) => {
      const chunks: string[] = [];
      for (let at = 0; at < text.length; ) {
        const size = sizes.next().value;
        chunks.push(text.slice(at, at + size));
        at += size;
      }
      const scanner = new SseScanner();
      const events = chunks.flatMap((each) => [...scanner.push(each)]);
      const raw = events.map((each) => each.raw).join("") + (scanner.end()?.raw ?? "");
      // What is left out at the very end is blank.
      expect(text.startsWith(raw)).toBe(true);
      expect(text.slice(raw.length).trim()).toBe("");
      expect(events.flatMap((each) => each.data ?? [])).toEqual(
        scan([text])
          .flatMap((each) => each.data ?? [])
          .slice(0, events.filter((each) => each.data !== undefined).length),
      );
    }),
  );
});
