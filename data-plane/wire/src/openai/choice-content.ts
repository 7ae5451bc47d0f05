// What a choice says: nothing that a reader would see, plain text, or more than that; and what its end means.

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

export function textOf(choice: Fields): string {
  if (typeof choice.text === "string") return choice.text;
  const { delta } = choice;
  return isRecord(delta) && typeof delta.content === "string" ? delta.content : "";
}

/**
 * How a choice ended. `plain`: the model stopped by itself, so that words are to be expected. `cause`: for a reason that
 * explains that there are none: length, a filter, a call. `abandoned`: the server gave it up (vLLM and SGLang say `abort`
 * of a request that they drop, gateways `error`): it is no end of an answer.
 */
export type ChoiceEnd = "none" | "plain" | "cause" | "abandoned";

export function endOf(choice: Fields): ChoiceEnd {
  const { finish_reason: reason } = choice;
  // Some servers write "" where null is meant.
  if (typeof reason !== "string" || reason === "") return "none";
  if (plainEnds.has(reason)) return "plain";
  return abandonedEnds.has(reason) ? "abandoned" : "cause";
}

/** OpenAI; TGI. */
const plainEnds: ReadonlySet<string> = new Set(["stop", "eos", "eos_token", "stop_sequence"]);
const abandonedEnds: ReadonlySet<string> = new Set(["abort", "error", "cancelled"]);

export const abandonedMessage = "the model server gave the answer up";
