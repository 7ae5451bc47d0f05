// What a choice of a stream says: nothing that a reader would see, plain text, or more than that.

import type { ByteText } from "../byte-text.ts";
import { isRecord } from "./error-object.ts";

type Fields = { readonly [name: string]: unknown };

/** `more`: a tool's call, thinking, a refusal, sound: what can't stand before another server's answer. */
export type ChoiceContent = "none" | "text" | "more";

export function contentOf(choice: Fields): ChoiceContent {
  // Legacy completions carry text, chat carries a delta.
  if (typeof choice.text === "string" && choice.text !== "") return "text";
  const { delta } = choice;
  if (!isRecord(delta)) return "none";
  let found: ChoiceContent = "none";
  for (const name in delta) {
    if (name === "role") continue;
    const value = delta[name];
    if (value === undefined || value === null || value === "") continue;
    if (Array.isArray(value) && value.length === 0) continue;
    if (name !== "content" || typeof value !== "string") return "more";
    found = "text";
  }
  return found;
}

export function textOf(choice: Fields): ByteText {
  if (typeof choice.text === "string") return choice.text;
  const { delta } = choice;
  return isRecord(delta) && typeof delta.content === "string" ? delta.content : "";
}
