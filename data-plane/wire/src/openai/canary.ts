// Canaries in OpenAI's protocol: the smallest request whose answer can be told right from wrong.

import { asciiJson, type ByteText, decodeUtf8 } from "../byte-text.ts";
import type { CanaryQuestion, CanaryReading, CanaryRequest } from "../protocol.ts";
import { errorObject, isRecord } from "./error-object.ts";

export function renderCanary(model: string, question: CanaryQuestion): CanaryRequest {
  if (question.kind === "embedding") {
    const body = { model, input: question.input, encoding_format: "float" };
    return { kind: "embedding", body: asciiJson(body) };
  }
  const messages = [{ role: "user", content: question.prompt }];
  const fixed = { max_tokens: question.maxTokens, temperature: 0, seed: 1, stream: false };
  return { kind: "chat", body: asciiJson({ model, messages, ...fixed }) };
}

/** undefined: it is no answer at all. */
export function readCanary(body: ByteText): CanaryReading | undefined {
  const value = parse(body);
  if (!isRecord(value) || errorObject(value) !== undefined) return undefined;
  const model = typeof value.model === "string" ? decodeUtf8(value.model) : undefined;
  if (Array.isArray(value.data)) return { model, text: "", vector: vectorOf(value.data[0]) };
  if (!Array.isArray(value.choices)) return undefined;
  return { model, text: decodeUtf8(textOf(value.choices[0])), vector: [] };
}

/** Reasoning models may spend the few tokens of a canary on thinking: that is an answer, too. */
function textOf(choice: unknown): string {
  const message = isRecord(choice) ? choice.message : undefined;
  if (!isRecord(message)) return "";
  for (const name of ["content", "reasoning_content", "reasoning"]) {
    const text = message[name];
    if (typeof text === "string" && text !== "") return text;
  }
  return "";
}

function vectorOf(entry: unknown): readonly number[] {
  const vector = isRecord(entry) ? entry.embedding : undefined;
  if (!Array.isArray(vector)) return [];
  return vector.every((each) => typeof each === "number") ? vector : [];
}

function parse(body: ByteText): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // Not JSON: the caller says so.
    return undefined;
  }
}
