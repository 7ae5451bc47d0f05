// The body for an upstream: the model's name as it knows it, usage asked for, and, where an answer is to go on, the words
// that the client has already.

import { asciiJson, type ByteText } from "../byte-text.ts";
import {
  addTopLevel,
  findElements,
  findTopLevel,
  type Span,
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
  let out = isRenamed ? splice(body, request.modelSpans, asciiJson(model)) : body;
  if (request.stream && !request.includeUsage) out = askUsage(out, request.namesUsage);
  if (continues !== undefined) out = goOnFrom(out, request, continues);
  if (assistantPrefix === "continue-final-message" && request.kind === "chat") {
    out = setTopLevel(out, "continue_final_message", "true");
    out = setTopLevel(out, "add_generation_prompt", "false");
  }
  return out;
}

const asked = '{"include_usage":true}';

/** `isNamed`: the client says something of its stream already, which is kept. */
function askUsage(body: ByteText, isNamed: boolean): ByteText {
  if (!isNamed) return addTopLevel(body, "stream_options", asked);
  const spans = findTopLevel(body, "stream_options");
  const last = spans.at(-1);
  if (last === undefined) return addTopLevel(body, "stream_options", asked);
  const options: unknown = JSON.parse(body.slice(last.start, last.end));
  const merged = isRecord(options) ? JSON.stringify({ ...options, include_usage: true }) : asked;
  return splice(body, spans, merged);
}

function goOnFrom(body: ByteText, { kind }: DecodedRequest, partial: PartialAnswer): ByteText {
  const literal = asciiJson(partial.text);
  const out = kind === "chat" ? appendMessage(body, literal) : appendPrompt(body, literal);
  return lessTokens(lessTokens(out, "max_tokens", partial), "max_completion_tokens", partial);
}

/** A message of the assistant at the end. One that the client put there itself is extended: two in a row are refused. */
function appendMessage(body: ByteText, literal: ByteText): ByteText {
  const span = findTopLevel(body, "messages").at(-1);
  if (span === undefined) return body;
  const list = body.slice(span.start, span.end);
  const elements = findElements(list);
  const last = elements.at(-1);
  const text = last === undefined ? "" : list.slice(last.start, last.end);
  const joined = last === undefined ? undefined : extendMessage(text, literal);
  const replaced =
    last !== undefined && joined !== undefined
      ? list.slice(0, last.start) + joined + list.slice(last.end)
      : appendElement(list, elements, `{"role":"assistant","content":${literal}}`);
  return splice(body, [span], replaced);
}

/** undefined: it is not the assistant's, or more than text. */
function extendMessage(text: ByteText, literal: ByteText): ByteText | undefined {
  const message: unknown = JSON.parse(text);
  if (!isRecord(message) || message.role !== "assistant") return undefined;
  if (typeof message.content !== "string") return undefined;
  return splice(text, findTopLevel(text, "content"), joinLiterals(message.content, literal));
}

function appendElement(list: ByteText, elements: readonly Span[], element: ByteText): ByteText {
  const end = list.lastIndexOf("]");
  return `${list.slice(0, end)}${elements.length === 0 ? "" : ","}${element}${list.slice(end)}`;
}

function appendPrompt(body: ByteText, literal: ByteText): ByteText {
  const spans = findTopLevel(body, "prompt");
  const last = spans.at(-1);
  if (last === undefined) return body;
  const prompt: unknown = JSON.parse(body.slice(last.start, last.end));
  if (typeof prompt !== "string") return body;
  return splice(body, spans, joinLiterals(prompt, literal));
}

/** `first` was read from bytes as text, and goes out as it came. */
function joinLiterals(first: ByteText, literal: ByteText): ByteText {
  return JSON.stringify(first).slice(0, -1) + literal.slice(1);
}

/** At least one token is left: the end of the answer may be all that is missing. */
function lessTokens(body: ByteText, key: string, { tokens }: PartialAnswer): ByteText {
  if (!body.includes(`"${key}"`)) return body;
  const value: unknown = JSON.parse(body);
  const max = isRecord(value) ? value[key] : undefined;
  return typeof max === "number" ? setTopLevel(body, key, String(Math.max(1, max - tokens))) : body;
}
