// A field that takes one of a few words.

import { type Findings, quote } from "./findings.ts";
import { nearestWord } from "./nearest-word.ts";

export function checkWord(
  words: readonly string[],
  word: string,
  { path, findings }: { readonly path: string; readonly findings: Findings },
): void {
  if (words.includes(word)) return;
  const near = nearestWord(word, words);
  const meant = near === undefined ? "" : `did you mean ${near}? `;
  const hint = `${meant}words here: ${words.join(", ")}`;
  findings.refuse("unknown_word", path, `${quote(word)} is not known`, hint);
}
