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

/** Reads the bytes up to the cut, as one piece or byte by byte, and a clean end. */
function follow(recording: Recording, cut: number, includeUsage: boolean) {
  const tap = open(recording, includeUsage);
  const out = tap.push(recording.text.slice(0, cut)) + tap.end();
  return { tap, out };
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
  const tap = open(recording, false);
  let out = "";
  for (const byte of recording.text) out += tap.push(byte);
  expect(lines(out + tap.end())).toEqual(lines(whole.out));
});

test.each(files)("%s cut at any byte never looks complete", (file) => {
  const recording = read(file);
  let cuts = 0;
  for (const includeUsage of [false, true]) {
    const whole = follow(recording, recording.text.length, includeUsage).out;
    for (let cut = 0; cut < recording.text.length; cut++) {
      const { tap, out } = follow(recording, cut, includeUsage);
      if (tap.complete) {
        if (!isWhole(recording, cut, includeUsage))
          expect.fail(`cut at byte ${cut}: taken for whole`);
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
