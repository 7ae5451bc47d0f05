// A stream in OpenAI's protocol, followed event by event: when something readable has come, whether it failed inside,
// how it ended. See StreamTap in protocol.ts.

import { asciiJson, type ByteText } from "../byte-text.ts";
import { findTopLevel, splice } from "../json-splice.ts";
import type { AnswerFault, PartialAnswer, StreamOptions, StreamTap, Usage } from "../protocol.ts";
import { type SseEvent, SseScanner } from "../sse.ts";
import { errorObject, isRecord, presentable } from "./error-object.ts";
import { readUsage } from "./usage.ts";

export function openStream(options: StreamOptions): StreamTap {
  return new OpenAiStreamTap(options);
}

const doneFrame = "data: [DONE]\n\n";

class OpenAiStreamTap implements StreamTap {
  semantic = false;
  complete = false;
  fault: AnswerFault | undefined;
  usage: Usage | undefined;
  contentEvents = 0;
  readonly continuable = false;
  readonly #options: StreamOptions;
  readonly #scanner = new SseScanner();
  readonly #finished = new Set<unknown>();
  readonly #clientLiteral: ByteText;
  /** `"model":"…"` as the upstream writes it, and as the client is to see it. */
  #modelField: ByteText = "";
  #clientField: ByteText = "";

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#clientLiteral = asciiJson(options.clientModel);
  }

  push(chunk: ByteText): ByteText {
    if (this.#isOver()) return "";
    const out = this.#takeAll(this.#scanner.push(chunk));
    if (this.#scanner.overflowed && !this.#isOver())
      this.#fail("malformed", "an event is too long");
    return out;
  }

  end(): ByteText {
    if (this.#isOver()) return "";
    const last = this.#scanner.end();
    // An event that no blank line ended counts only if it is whole.
    const out = last !== undefined && isWhole(last) ? endFrame(this.#take(last)) : "";
    if (this.#isOver()) return out;
    if (this.#everyChoiceFinished()) {
      this.complete = true;
      return out + doneFrame;
    }
    const kind = this.semantic ? "truncated" : "empty";
    this.#fail(kind, "the stream ended before the answer did");
    return out;
  }

  partial(): PartialAnswer | undefined {
    return undefined;
  }

  #isOver(): boolean {
    return this.complete || this.fault !== undefined;
  }

  /** Without its sentinel a stream is complete only if nothing can be missing. */
  #everyChoiceFinished(): boolean {
    const usageMissing = this.#options.includeUsage && this.usage === undefined;
    return this.#finished.size >= this.#options.choices && !usageMissing;
  }

  #takeAll(events: readonly SseEvent[]): ByteText {
    const only = events[0];
    if (events.length === 1 && only !== undefined) return this.#take(only);
    let out = "";
    for (const event of events) {
      if (this.#isOver()) break;
      out += this.#take(event);
    }
    return out;
  }

  /** What of this event goes to the client. */
  #take(event: SseEvent): ByteText {
    if (event.errorField !== undefined) return this.#fail("error-frame", fieldMessage(event));
    const { data } = event;
    // An event without data is a comment, or a ping that would make the official client stumble.
    if (data === undefined) return event.name === "" ? event.raw : "";
    if (data.startsWith("[DONE]")) return this.#done(event);
    const value = parse(data);
    if (!isRecord(value)) return this.#fail("malformed", "an event is no JSON object");
    const error = errorObject(value) ?? (event.name === "error" ? unnamedError : undefined);
    if (error !== undefined) return this.#fail("error-frame", error.message);
    if (event.name === "ping") return "";
    this.#read(value);
    return this.#showModel(event.raw, value.model);
  }

  #done(event: SseEvent): ByteText {
    if (!this.semantic) return this.#fail("empty", "the stream ended without an answer");
    this.complete = true;
    return event.raw.endsWith("\n\n") ? event.raw : doneFrame;
  }

  #read(value: { readonly [name: string]: unknown }): void {
    if (value.usage !== undefined && value.usage !== null) {
      this.usage = readUsage(value.usage) ?? this.usage;
    }
    if (!Array.isArray(value.choices)) return;
    let hasContent = false;
    for (const choice of value.choices) {
      if (!isRecord(choice)) continue;
      if (typeof choice.finish_reason === "string") {
        this.#finished.add(choice.index);
        this.semantic = true;
      }
      if (isReadable(choice)) hasContent = true;
    }
    if (!hasContent) return;
    this.semantic = true;
    this.contentEvents += 1;
  }

  /** Most events carry the very same field: one search finds it. Others are searched key by key. */
  #showModel(raw: ByteText, model: unknown): ByteText {
    if (typeof model !== "string" || model === this.#options.clientModel) return raw;
    const at = this.#modelField === "" ? -1 : raw.indexOf(this.#modelField);
    if (at >= 0 && raw.indexOf(this.#modelField, at + 1) < 0) {
      return raw.slice(0, at) + this.#clientField + raw.slice(at + this.#modelField.length);
    }
    const body = raw.indexOf("{");
    const spans = findTopLevel(raw.slice(body), "model");
    const span = spans[0];
    if (spans.length === 1 && span !== undefined) {
      const from = raw.lastIndexOf('"model"', body + span.start);
      this.#modelField = raw.slice(from, body + span.end);
      this.#clientField = raw.slice(from, body + span.start) + this.#clientLiteral;
    }
    return raw.slice(0, body) + splice(raw.slice(body), spans, this.#clientLiteral);
  }

  #fail(kind: AnswerFault["kind"], message: string): "" {
    this.fault = { kind, message };
    return "";
  }
}

const unnamedError = { message: "the model server reported an error" };

/** Would a reader see anything of this choice? */
function isReadable(choice: { readonly [name: string]: unknown }): boolean {
  // Legacy completions carry text, chat carries a delta.
  if (typeof choice.text === "string" && choice.text !== "") return true;
  const { delta } = choice;
  if (!isRecord(delta)) return false;
  for (const name in delta) {
    if (name === "role") continue;
    const value = delta[name];
    if (value === undefined || value === null || value === "") continue;
    if (Array.isArray(value) && value.length === 0) continue;
    return true;
  }
  return false;
}

/** With the blank line that it lacked. */
function endFrame(raw: ByteText): ByteText {
  return raw === "" ? "" : `${raw.trimEnd()}\n\n`;
}

function isWhole(event: SseEvent): boolean {
  const { data } = event;
  if (data === undefined) return false;
  return data.startsWith("[DONE]") || parse(data) !== undefined;
}

function fieldMessage(event: SseEvent): string {
  const value = parse(event.errorField ?? "");
  const message = isRecord(value) && typeof value.message === "string" ? value.message : "";
  return presentable(message);
}

function parse(data: ByteText): unknown {
  try {
    return JSON.parse(data);
  } catch {
    // Not JSON: the caller says so.
    return undefined;
  }
}
