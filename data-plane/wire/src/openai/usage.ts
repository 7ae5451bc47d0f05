// Usage in OpenAI's protocol. prompt_tokens includes cached ones; embeddings have no completion_tokens.

import type { ByteText } from "../byte-text.ts";
import { removeTopLevel } from "../json-splice.ts";
import type { Usage } from "../protocol.ts";
import { isRecord } from "./error-object.ts";

type Fields = { readonly [name: string]: unknown };

/** undefined when the value is no usage. */
export function readUsage(value: unknown): Usage | undefined {
  if (!isRecord(value)) return undefined;
  const { prompt_tokens: input, completion_tokens: output } = value;
  if (typeof input !== "number" && typeof output !== "number") return undefined;
  return { inputTokens: count(input), outputTokens: count(output) };
}

function count(value: unknown): number {
  return typeof value === "number" && value > 0 ? Math.floor(value) : 0;
}

const nullUsage = ',"usage":null';

/**
 * An event as a client sees it that did not ask for usage: "" for the one that says nothing else. `value` is what the event
 * says; it has a member `usage`.
 */
export function withoutUsage(raw: ByteText, value: Fields): ByteText {
  const { choices, usage, prompt_filter_results: filters } = value;
  const isUsageAlone = usage !== null && Array.isArray(choices) && choices.length === 0;
  // Azure may tell what its filter found in the prompt along with it.
  if (isUsageAlone && filters === undefined) return "";
  // Most servers write the same few bytes; else the member is looked for.
  const at = raw.indexOf(nullUsage);
  const isIt = at >= 0 && raw.indexOf('"usage"') === at + 1;
  if (isIt && raw.indexOf('"usage"', at + nullUsage.length) < 0) {
    return raw.slice(0, at) + raw.slice(at + nullUsage.length);
  }
  const json = raw.indexOf("{");
  const end = raw.lastIndexOf("}") + 1;
  return raw.slice(0, json) + removeTopLevel(raw.slice(json, end), "usage") + raw.slice(end);
}
