// The body for an upstream: the model's name as it knows it, usage asked for, and, where an answer is to go on, the words
// that the client has already.

import { asciiJson, type ByteText } from "../byte-text.ts";
import {
  addTopLevel,
  findElements,
  findTopLevel,
  joinTexts,
  setTopLevel,
  splice,
} from "../json-splice.ts";
import type { DecodedRequest, PartialAnswer, UpstreamBodyOptions } from "../protocol.ts";
import { isRecord } from "./error-object.ts";

/** Every byte that need not change is kept; the very same text when nothing must. */
export function upstreamBody(
  body: ByteText,
  request: DecodedRequest,
  { model, continues, assistantPrefix }: UpstreamBodyOptions,
): ByteText {
  const isRenamed = model !== undefined && model !== request.model;
  let out = isRenamed ? splice(body, findTopLevel(body, "model"), asciiJson(model)) : body;
  if (request.stream) out = askUsage(out, request);
  if (continues !== undefined) out = goOnFrom(out, request, continues);
  if (assistantPrefix === "continue-final-message" && request.kind === "chat") {
    out = setTopLevel(out, "continue_final_message", "true");
    out = setTopLevel(out, "add_generation_prompt", "false");
  }
  return out;
}

const asked = '{"include_usage":true}';

/** Whoever reads the body: servers differ in which one of repeated keys they take, so all of them say the same. */
function askUsage(body: ByteText, { includeUsage, namesUsage }: DecodedRequest): ByteText {
  if (!namesUsage) return addTopLevel(body, "stream_options", asked);
  const quoted = '"stream_options"';
  if (includeUsage && body.indexOf(quoted) === body.lastIndexOf(quoted)) return body;
  let out = body;
  for (const span of findTopLevel(body, "stream_options").toReversed()) {
    out = splice(out, [span], askingOptions(body.slice(span.start, span.end)));
  }
  return out;
}

/** The client's other options stay byte for byte. */
function askingOptions(literal: ByteText): ByteText {
  const options: unknown = JSON.parse(literal);
  if (!isRecord(options)) return asked;
  return options.include_usage === true ? literal : setTopLevel(literal, "include_usage", "true");
}

function goOnFrom(body: ByteText, { kind }: DecodedRequest, partial: PartialAnswer): ByteText {
  const literal = asciiJson(partial.text);
  const out = kind === "chat" ? appendMessage(body, literal) : appendPrompt(body, literal);
  return lessTokens(out, partial);
}

/** A message of the assistant at the end. One that the client put there itself is extended: two in a row are refused. */
function appendMessage(body: ByteText, literal: ByteText): ByteText {
  const span = findTopLevel(body, "messages").at(-1);
  if (span === undefined) return body;
  const list = body.slice(span.start, span.end);
  const last = findElements(list).at(-1);
  const said = `{"role":"assistant","content":${literal}}`;
  if (last === undefined) return splice(body, [span], `[${said}]`);
  const message = list.slice(last.start, last.end);
  const joined = extendMessage(message, literal) ?? `${message},${said}`;
  return splice(body, [span], splice(list, [last], joined));
}

/** undefined: it is not the assistant's, or more than text. */
function extendMessage(text: ByteText, literal: ByteText): ByteText | undefined {
  const message: unknown = JSON.parse(text);
  if (!isRecord(message) || message.role !== "assistant") return undefined;
  return typeof message.content === "string" ? extend(text, "content", literal) : undefined;
}

function appendPrompt(body: ByteText, literal: ByteText): ByteText {
  return extend(body, "prompt", literal);
}

/** The key's value, a text, with more text at its end; what stands there stays byte for byte. */
function extend(text: ByteText, key: string, literal: ByteText): ByteText {
  const spans = findTopLevel(text, key);
  const last = spans.at(-1);
  if (last === undefined || text.charAt(last.start) !== '"') return text;
  return splice(text, spans, joinTexts(text.slice(last.start, last.end), literal));
}

const tokenLimits = ["max_tokens", "max_completion_tokens", "min_tokens"] as const;

/** At least one token is left: the end of the answer may be all that is missing. */
function lessTokens(body: ByteText, { tokens }: PartialAnswer): ByteText {
  const value: unknown = JSON.parse(body);
  if (!isRecord(value)) return body;
  let out = body;
  for (const key of tokenLimits) {
    const limit = value[key];
    if (typeof limit !== "number") continue;
    const least = key === "min_tokens" ? 0 : 1;
    out = setTopLevel(out, key, String(Math.max(least, limit - tokens)));
  }
  return out;
}
