// Streams that we write ourselves: a whole answer as the stream that was asked for, and the mark of a seam.

import { asciiJson, type ByteText, decodeUtf8 } from "../byte-text.ts";
import type { StreamOptions } from "../protocol.ts";
import { isRecord } from "./error-object.ts";

type Fields = { readonly [name: string]: unknown };

export const doneFrame = "data: [DONE]\n\n";

function frameOf(value: unknown): ByteText {
  return `data: ${asciiJson(value)}\n\n`;
}

/** A comment: every reader passes over it. */
export function renderSeam(note: string): ByteText {
  return `: ${note.replace(/[^ -~]/g, "?").slice(0, 200)}\n\n`;
}

/**
 * The stream that says what a whole answer says, choice by choice. The body must have passed readAnswer.
 */
export function streamOf(body: ByteText, options: StreamOptions): ByteText {
  const answer: unknown = JSON.parse(decodeUtf8(body));
  if (!isRecord(answer)) return doneFrame;
  const { id, created, system_fingerprint: fingerprint, choices, usage } = answer;
  const object = options.kind === "chat" ? "chat.completion.chunk" : "text_completion";
  const shared = {
    ...(id === undefined ? {} : { id }),
    object,
    ...(created === undefined ? {} : { created }),
    model: options.clientModel,
    ...(fingerprint === undefined ? {} : { system_fingerprint: fingerprint }),
  };
  let out = "";
  for (const choice of Array.isArray(choices) ? choices : []) {
    if (!isRecord(choice)) continue;
    for (const part of options.kind === "chat" ? chatParts(choice) : textParts(choice)) {
      out += frameOf({ ...shared, choices: [part] });
    }
  }
  if (options.includeUsage && usage !== undefined)
    out += frameOf({ ...shared, choices: [], usage });
  return out + doneFrame;
}

/** What is said, then how it ended: as servers do it. */
function chatParts({ index, message, finish_reason: reason, logprobs }: Fields): readonly Fields[] {
  const { tool_calls: calls, ...said } = isRecord(message) ? message : {};
  const delta = Array.isArray(calls) ? { ...said, tool_calls: calls.map(numbered) } : said;
  const shared = logprobs === undefined ? { index } : { index, logprobs };
  return [
    { ...shared, delta, finish_reason: null },
    { index, delta: {}, finish_reason: reason ?? "stop" },
  ];
}

/** Calls in a stream say where they belong. */
function numbered(call: unknown, index: number): unknown {
  return isRecord(call) ? { index, ...call } : call;
}

function textParts({ index, text, finish_reason: reason, logprobs }: Fields): readonly Fields[] {
  const shared = { index, logprobs: logprobs ?? null };
  return [
    { ...shared, text, finish_reason: null },
    { ...shared, text: "", finish_reason: reason ?? "stop" },
  ];
}
