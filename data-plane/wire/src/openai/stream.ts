// A stream in OpenAI's protocol, followed event by event: when something readable has come, whether it failed inside,
// how it ended. See StreamTap in protocol.ts.

import { asciiJson, type ByteText, decodeUtf8 } from "../byte-text.ts";
import { findTopLevel, removeTopLevel, setTopLevel, splice } from "../json-splice.ts";
import type { AnswerFault, PartialAnswer, StreamOptions, StreamTap, Usage } from "../protocol.ts";
import { type SseEvent, SseScanner } from "../sse.ts";
import { contentOf, textOf } from "./choice-content.ts";
import { errorObject, isRecord, presentable } from "./error-object.ts";
import {
  type BrokenStream,
  EchoFilter,
  type EchoVerdict,
  joinUsage,
  rewriteUsage,
} from "./seam.ts";
import { doneFrame, frameOf } from "./stream-frames.ts";
import { readUsage } from "./usage.ts";

export function openStream(options: StreamOptions): StreamTap {
  return new OpenAiStreamTap(options);
}

/** A longer text is not kept: a broken stream of that length ends with the error. */
const keptTextMax = 262_144;

type Fields = { readonly [name: string]: unknown };

class OpenAiStreamTap implements StreamTap {
  semantic = false;
  complete = false;
  fault: AnswerFault | undefined;
  usage: Usage | undefined;
  contentEvents = 0;
  continuable: boolean;
  readonly #options: StreamOptions;
  readonly #scanner = new SseScanner();
  readonly #finished = new Set<unknown>();
  readonly #clientLiteral: ByteText;
  readonly #before: BrokenStream | undefined;
  #echo: EchoFilter | undefined;
  /** Events that may be an echo. */
  #held: ByteText = "";
  #text: ByteText = "";
  #id: unknown;
  #created: unknown;
  /** `"model":"…"` as the upstream writes it, and as the client is to see it. */
  #modelField: ByteText = "";
  #clientField: ByteText = "";

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#clientLiteral = asciiJson(options.clientModel);
    this.continuable = options.keepsText;
    this.#before = options.after instanceof OpenAiStreamTap ? options.after.#broken() : undefined;
    if (this.#before === undefined) return;
    this.#echo = new EchoFilter(this.#before.text);
    this.contentEvents = this.#before.tokens;
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
    if (this.semantic && this.#everyChoiceFinished()) {
      this.complete = true;
      return out + doneFrame;
    }
    const kind = this.semantic ? "truncated" : "empty";
    this.#fail(kind, "the stream ended before the answer did");
    return out;
  }

  partial(): PartialAnswer | undefined {
    if (!this.continuable) return undefined;
    const text = decodeUtf8((this.#before?.text ?? "") + this.#text);
    return { text, tokens: this.contentEvents };
  }

  /** As the next stream needs it. */
  #broken(): BrokenStream {
    const { id, created, text } = this.#before ?? {
      id: this.#id,
      created: this.#created,
      text: "",
    };
    return { id, created, text: text + this.#text, tokens: this.contentEvents };
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
    const hadContent = this.#read(value);
    if (this.#before !== undefined) return this.#goOn(event, value, hadContent);
    if (value.usage === undefined) return this.#showModel(event.raw, value.model);
    return this.#withoutUsage(event.raw, value);
  }

  #done(event: SseEvent): ByteText {
    if (!this.semantic) return this.#fail("empty", "the stream ended without an answer");
    this.complete = true;
    const held = this.#release();
    return held + (event.raw.endsWith("\n\n") ? event.raw : doneFrame);
  }

  /** true: the event has something that a reader would see. */
  #read(value: Fields): boolean {
    if (value.usage !== undefined && value.usage !== null) this.#readUsage(value.usage);
    if (this.#options.keepsText && this.#id === undefined) {
      this.#id = value.id;
      this.#created = value.created;
    }
    if (!Array.isArray(value.choices)) return false;
    let hasContent = false;
    for (const choice of value.choices) {
      if (!isRecord(choice)) continue;
      const content = contentOf(choice);
      if (content !== "none") hasContent = true;
      if (content === "more") this.continuable = false;
      if (content === "text" && this.continuable) this.#keep(textOf(choice));
      if (typeof choice.finish_reason === "string") this.#finish(choice, hasContent);
    }
    if (!hasContent) return false;
    this.semantic = true;
    this.contentEvents += 1;
    return true;
  }

  /**
   * An answer that ends without a word is none, unless it was cut for its length or filtered, or the server says that it
   * took tokens: then it is what the model had to say.
   */
  #finish(choice: Fields, hasContent: boolean): void {
    this.#finished.add(choice.index);
    this.continuable = false;
    const isPlain = choice.finish_reason === "stop" || choice.finish_reason === "eos";
    const mayEnd = this.contentEvents > 0 || this.#options.isRest === true;
    if (hasContent || !isPlain || mayEnd) this.semantic = true;
  }

  #readUsage(value: unknown): void {
    const usage = readUsage(value);
    if (usage === undefined) return;
    this.usage = this.#before === undefined ? usage : joinUsage(usage, this.#before.tokens);
    if (usage.outputTokens > 0 && this.#finished.size > 0) this.semantic = true;
  }

  #keep(text: ByteText): void {
    this.#text += text;
    const length = (this.#before?.text.length ?? 0) + this.#text.length;
    if (length <= keptTextMax) return;
    this.continuable = false;
    this.#text = "";
  }

  /** Usage is asked for in any case; a client that did not ask sees a stream without it. */
  #withoutUsage(raw: ByteText, value: Fields): ByteText {
    if (this.#options.includeUsage) return this.#showModel(raw, value.model);
    const hasChoices = Array.isArray(value.choices) && value.choices.length > 0;
    if (!hasChoices && value.usage !== null) return "";
    return this.#showModel(removeUsage(raw), value.model);
  }

  /** An event of a stream that goes on from another one. */
  #goOn(event: SseEvent, value: Fields, hadContent: boolean): ByteText {
    const before = this.#before;
    if (before === undefined) return "";
    const isUsage = value.usage !== undefined && value.usage !== null;
    const isEnd = Array.isArray(value.choices) && value.choices.some(isFinished);
    // The client has a role already, and no use for an event that says nothing.
    if (!hadContent && !isUsage && !isEnd) return "";
    const shown = this.#fit(event.raw, value, before);
    if (this.#echo?.isUndecided !== true) return this.#release() + shown;
    if (!hadContent) {
      this.#held += shown;
      return isEnd || isUsage ? "" : this.#release();
    }
    return this.#filterEcho(shown, value);
  }

  #filterEcho(shown: ByteText, value: Fields): ByteText {
    const [choice] = Array.isArray(value.choices) ? value.choices : [];
    const text = isRecord(choice) ? textOf(choice) : "";
    const verdict: EchoVerdict = this.#echo?.take(text) ?? { kind: "pass" };
    if (verdict.kind === "pass") return this.#release() + shown;
    // Said again: it is none of the text, and no sign that the answer goes on.
    this.#text = this.#text.slice(0, this.#text.length - text.length);
    this.contentEvents -= 1;
    if (verdict.kind === "hold") {
      this.#held += shown;
      this.semantic = false;
      this.#echoText += text;
      return "";
    }
    this.#held = "";
    this.#echoText = "";
    this.semantic = verdict.rest !== "";
    if (verdict.rest === "") return "";
    this.contentEvents += 1;
    this.#text += verdict.rest;
    return withText(shown, value, verdict.rest);
  }

  /** Text of held events: theirs after all if they are let go. */
  #echoText: ByteText = "";

  #release(): ByteText {
    const held = this.#held;
    if (held === "") return "";
    this.#held = "";
    this.#text = this.#echoText + this.#text;
    this.#echoText = "";
    return held;
  }

  /** As an event of the first stream. */
  #fit(raw: ByteText, value: Fields, before: BrokenStream): ByteText {
    const json = raw.indexOf("{");
    let out = raw.slice(json).trimEnd();
    if (before.id !== undefined) out = setTopLevel(out, "id", JSON.stringify(before.id));
    if (before.created !== undefined) {
      out = setTopLevel(out, "created", JSON.stringify(before.created));
    }
    if (isRecord(value.usage) && this.usage !== undefined && this.#options.includeUsage) {
      out = setTopLevel(out, "usage", JSON.stringify(rewriteUsage(value.usage, this.usage)));
    }
    const event = `${raw.slice(0, json)}${out}\n\n`;
    return value.usage === undefined
      ? this.#showModel(event, value.model)
      : this.#withoutUsage(event, value);
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
const nullUsage = ',"usage":null';

/** Most servers write the same few bytes; else the member is looked for. */
function removeUsage(raw: ByteText): ByteText {
  const at = raw.indexOf(nullUsage);
  if (at >= 0 && raw.indexOf('"usage"', at + nullUsage.length) < 0) {
    return raw.slice(0, at) + raw.slice(at + nullUsage.length);
  }
  const json = raw.indexOf("{");
  const end = raw.lastIndexOf("}") + 1;
  return raw.slice(0, json) + removeTopLevel(raw.slice(json, end), "usage") + raw.slice(end);
}

/** The same event with the rest of its text. */
function withText(raw: ByteText, value: Fields, text: ByteText): ByteText {
  const [choice] = Array.isArray(value.choices) ? value.choices : [];
  if (!isRecord(choice)) return raw;
  const { delta } = choice;
  const part = isRecord(delta)
    ? { ...choice, delta: { ...delta, content: text } }
    : { ...choice, text };
  const shown = JSON.parse(raw.slice(raw.indexOf("{")));
  return frameOf({ ...shown, choices: [part] });
}

function isFinished(choice: unknown): boolean {
  return isRecord(choice) && typeof choice.finish_reason === "string";
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
