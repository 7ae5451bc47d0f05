// Usage in OpenAI's protocol. prompt_tokens includes cached ones; embeddings have no completion_tokens.

import type { Usage } from "../protocol.ts";
import { isRecord } from "./error-object.ts";

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
