// Streams as servers of many kinds write them, cut at every byte: no cut one may look complete, to us or to a client.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { StreamOptions, StreamTap } from "../protocol.ts";
import { openStream } from "./stream.ts";

const folder = path.join(import.meta.dirname, "recordings");
const files = readdirSync(folder).filter((each) => each.endsWith(".sse"));

type Recording = {
  readonly text: string;
  readonly kind: "chat" | "completion";
  readonly choices: number;
};

function read(file: string): Recording {
  const text = readFileSync(path.join(folder, file), "latin1");
  const kind = file.startsWith("legacy") ? "completion" : "chat";
  return { text, kind, choices: file.includes("two-answers") ? 2 : 1 };
}

function open({ kind, choices }: Recording, includeUsage: boolean): StreamTap {
  const options: StreamOptions = {
    kind,
    clientModel: "client/model",
    choices,
    includeUsage,
    keepsText: true,
    after: undefined,
  };
  return openStream(options);
}

/** Reads the bytes up to the cut in pieces of a size, and a clean end. */
function follow(recording: Recording, cut: number, includeUsage: boolean, size = cut + 1) {
  const tap = open(recording, includeUsage);
  let out = "";
  for (let from = 0; from < cut; from += size) {
    out += tap.push(recording.text.slice(from, Math.min(cut, from + size)));
  }
  return { tap, beforeEnd: { out, complete: tap.complete }, out: out + tap.end() };
}

/** By other means than the tap: everything that a reader would see or hear of. */
function saidBy(text: string): string {
  const parts =
    /"(?:content|arguments|text|reasoning_content|finish_reason|name)":"(?:[^"\\]|\\.)*"/g;
  return (text.match(parts) ?? []).join();
}

/**
 * By other means than the tap: is everything there that a client asked for? The sentinel says so; without it every
 * answer's reason to end, and usage where it was asked for.
 */
function isWhole({ text, choices }: Recording, cut: number, includeUsage: boolean): boolean {
  const lines = text.slice(0, cut).replaceAll("\r\n", "\n").split("\n");
  if (lines.some((line) => /^data: ?\[DONE\]/.test(line))) return true;
  const events = lines.flatMap((line) => {
    try {
      return line.startsWith("data:") ? [JSON.parse(line.slice(5))] : [];
    } catch {
      return [];
    }
  });
  const ended = new Set(
    events.flatMap((event) =>
      event.choices.flatMap((choice: { finish_reason?: string | null; index: number }) =>
        typeof choice.finish_reason === "string" ? [choice.index] : [],
      ),
    ),
  );
  const hasUsage = events.some((event) => event.usage !== undefined && event.usage !== null);
  return ended.size >= choices && (hasUsage || !includeUsage);
}

/** Any line end is one: where it was cut, a carriage return stands alone. */
function lines(text: string): readonly string[] {
  return text.split(/\r\n|\r|\n/);
}

test("there are recordings of many servers", () => {
  expect(files.length).toBeGreaterThanOrEqual(10);
});

test.each(files)("%s is complete as a whole, in one piece and byte by byte", (file) => {
  const recording = read(file);
  const whole = follow(recording, recording.text.length, false);
  expect(whole.tap).toMatchObject({ complete: true, fault: undefined });
  expect(whole.out).toContain("[DONE]");
  expect(whole.out).not.toContain('"usage":{');
  const split = follow(recording, recording.text.length, false, 1);
  expect(lines(split.out)).toEqual(lines(whole.out));
});

test.each(files)("%s cut at any byte never looks complete", (file) => {
  const recording = read(file);
  let cuts = 0;
  for (const includeUsage of [false, true]) {
    const whole = follow(recording, recording.text.length, includeUsage).out;
    for (let cut = 0; cut < recording.text.length; cut++) {
      // As one piece, and in pieces that cut events, line ends and characters elsewhere each time.
      const size = cut % 2 === 0 ? cut + 1 : 1 + ((cut * 7) % 97);
      const { tap, out, beforeEnd } = follow(recording, cut, includeUsage, size);
      if (beforeEnd.out.includes("[DONE]") !== beforeEnd.complete)
        expect.fail(`cut at byte ${cut}: the client knows another end than we do`);
      if (tap.complete) {
        if (!isWhole(recording, cut, includeUsage))
          expect.fail(`cut at byte ${cut}: taken for whole`);
        if (saidBy(out) !== saidBy(whole)) expect.fail(`cut at byte ${cut}: not all is there`);
        continue;
      }
      cuts += 1;
      expect(tap.fault?.kind).toMatch(/truncated|empty/);
      // What the client has is the beginning of the answer, event by event, and nothing that ends it.
      if (out.includes("[DONE]")) expect.fail(`cut at byte ${cut}: the client is told it is done`);
      if (!whole.startsWith(out.trimEnd())) expect.fail(`cut at byte ${cut}: not the beginning`);
    }
  }
  expect(cuts).toBeGreaterThan(100);
});
