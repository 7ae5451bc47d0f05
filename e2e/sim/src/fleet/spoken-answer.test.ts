// What becomes of an answer's bytes: the codec's verdict at the proxy, and the client's reading of what it is sent.

import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import type { TrueEnding } from "./backend.ts";
import { readAsClient, SpokenAnswer } from "./spoken-answer.ts";

function speak(ending: TrueEnding, seed = "1") {
  const answer = new SpokenAnswer(seededRandom(seed));
  const isSemantic = ending === "empty" ? false : answer.begin();
  const failure = answer.end(ending);
  return { isSemantic, kind: failure?.kind, reading: readAsClient(answer.sent, failure) };
}

test("a whole answer is whole to both", () => {
  expect(speak("complete")).toEqual({ isSemantic: true, kind: undefined, reading: "complete" });
});

test("however an answer is cut, it is never whole to the proxy, and always an error to the client", () => {
  const seen = Array.from({ length: 40 }, (_, seed) => speak("truncated", String(seed)));
  expect(new Set(seen.map((each) => each.kind))).toEqual(new Set(["truncated", "error-frame"]));
  expect(new Set(seen.map((each) => each.reading))).toEqual(new Set(["error"]));
  expect(speak("cut")).toEqual({ isSemantic: true, kind: "reset", reading: "error" });
});

test("an answer without a word is empty", () => {
  expect(speak("empty")).toMatchObject({ kind: "empty" });
});
