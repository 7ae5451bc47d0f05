// A stream in OpenAI's protocol, followed event by event: when something readable has come, whether it failed inside,
// how it ended. See StreamTap in protocol.ts.

import { asciiJson, type ByteText, decodeUtf8, isAscii } from "../byte-text.ts";
import { setTopLevel } from "../json-splice.ts";
import type { AnswerFault, PartialAnswer, StreamOptions, StreamTap, Usage } from "../protocol.ts";
import { type SseEvent, SseScanner } from "../sse.ts";
import { abandonedMessage, contentOf, endOf, textOf } from "./choice-content.ts";
import { errorObject, isRecord, presentable } from "./error-object.ts";
import { ModelName } from "./model-name.ts";
import { type BrokenStream, type Chunk, joinUsage, rewriteUsage, Seam } from "./seam.ts";
import { doneFrame } from "./stream-frames.ts";
import { readUsage, withoutUsage } from "./usage.ts";

export function openStream(options: StreamOptions): StreamTap {
  return new OpenAiStreamTap(options);
}

/** In characters. A longer text is not kept: a broken stream of that length ends with the error. */
const keptTextMax = 262_144;

type Fields = { readonly [name: string]: unknown };

class OpenAiStreamTap implements StreamTap {
  semantic = false;
  complete = false;
  fault: AnswerFault | undefined;
  usage: Usage | undefined;
  contentEvents = 0;
  readonly #options: StreamOptions;
  readonly #scanner = new SseScanner();
  readonly #finished = new Set<unknown>();
  readonly #model: ModelName;
  readonly #seam: Seam | undefined;
  /** Highest number of a choice. */
  #indexMax = 0;
  /** What the client has by now is kept: text and nothing else, of an answer that has not ended. */
  #keeps: boolean;
  #text = "";
  #id: unknown;
  #created: unknown;

  constructor(options: StreamOptions) {
    const { after, clientModel, keepsText } = options;
    this.#options = options;
    this.#model = new ModelName(clientModel);
    this.#keeps = keepsText;
    if (!(after instanceof OpenAiStreamTap)) return;
    const before = after.#broken();
    this.#seam = new Seam(before);
    this.#text = before.text;
    this.#id = before.id;
    this.#created = before.created;
    this.contentEvents = before.tokens;
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
    let out = last !== undefined && isWhole(last) ? this.#take(ended(last)) : "";
    if (this.#isOver()) return out;
    out += this.#release();
    if (this.#isOver()) return out;
    if (this.#hasAnswered() && this.#everyChoiceFinished()) {
      this.complete = true;
      return out + doneFrame;
    }
    const kind = this.semantic ? "truncated" : "empty";
    this.#fail(kind, "the stream ended before the answer did");
    return out;
  }

  get continuable(): boolean {
    return this.#keeps && !isHighSurrogate(this.#text.charCodeAt(this.#text.length - 1));
  }

  partial(): PartialAnswer | undefined {
    return this.continuable ? { text: this.#text, tokens: this.contentEvents } : undefined;
  }

  /** As the next stream needs it. */
  #broken(): BrokenStream {
    return {
      id: this.#id,
      created: this.#created,
      text: this.#text,
      tokens: this.contentEvents,
    };
  }

  #isOver(): boolean {
    return this.complete || this.fault !== undefined;
  }

  /** Without its sentinel a stream is complete only if nothing can be missing. */
  #everyChoiceFinished(): boolean {
    const usageMissing = this.#options.includeUsage && this.usage === undefined;
    return this.#finished.size >= this.#options.choices && !usageMissing;
  }

  /** An answer without a word that ends is one if the server says that it took tokens: so the model wanted it. */
  #hasAnswered(): boolean {
    if (this.#finished.size > 0 && (this.usage?.outputTokens ?? 0) > 0) this.semantic = true;
    return this.semantic;
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
    const value = this.#parse(data);
    if (!isRecord(value)) return this.#fail("malformed", "an event is no JSON object");
    const error = errorObject(value) ?? (event.name === "error" ? unnamedError : undefined);
    if (error !== undefined) return this.#fail("error-frame", error.message);
    if (event.name === "ping") return "";
    const raw = data.includes("\n") ? onOneLine(data) : event.raw;
    return this.#seam === undefined ? this.#relay(raw, value) : this.#goOn({ raw, value });
  }

  /** Text that is kept, or may be an echo, is needed in characters: escapes and bytes may stand for the same one. */
  #parse(data: ByteText): unknown {
    if ((!this.#keeps && this.#seam === undefined) || isAscii(data)) return parse(data);
    const text = decodeUtf8(data);
    // What is no UTF-8 can't be put into a request.
    if (text === data) this.#keeps = false;
    return parse(text);
  }

  /** The sentinel alone is no end: what was cut behind a gateway gets one from it, too, but no reason to end. */
  #done(event: SseEvent): ByteText {
    const held = this.#release();
    if (this.#isOver()) return held;
    if (!this.#hasAnswered()) {
      this.#fail("empty", "the stream ended without an answer");
      return held;
    }
    const choices = Math.min(this.#options.choices, this.#indexMax + 1);
    if (this.#finished.size < choices) {
      this.#fail("truncated", "the stream ended before the answer did");
      return held;
    }
    this.complete = true;
    return held + (event.raw.endsWith("\n\n") ? event.raw : doneFrame);
  }

  #relay(raw: ByteText, value: Fields): ByteText {
    this.#read(value);
    if (this.fault !== undefined) return "";
    const isAsked = this.#options.includeUsage || value.usage === undefined;
    return this.#model.show(isAsked ? raw : withoutUsage(raw, value), value.model);
  }

  /** true: the event has something that a reader would see, or the end of it. */
  #read(value: Fields): boolean {
    if (value.usage !== undefined && value.usage !== null) this.#readUsage(value.usage);
    const { choices } = value;
    if (!Array.isArray(choices) || choices.length === 0) return false;
    if (this.#keeps && this.#id === undefined) {
      this.#id = value.id;
      this.#created = value.created;
    }
    let hasContent = false;
    let hasEnd = false;
    for (const choice of choices) {
      if (!isRecord(choice)) continue;
      if (typeof choice.index === "number" && choice.index > this.#indexMax) {
        this.#indexMax = choice.index;
      }
      const content = contentOf(choice);
      if (content !== "none") hasContent = true;
      if (content === "more") this.#keepNoMore();
      if (content === "text" && this.#keeps) this.#keep(textOf(choice));
      if (this.#readEnd(choice, hasContent)) hasEnd = true;
    }
    if (hasContent) {
      this.semantic = true;
      this.contentEvents += 1;
    }
    return hasContent || hasEnd;
  }

  /** An answer that ends without a word is none, unless there is a cause, or the words came from elsewhere. */
  #readEnd(choice: Fields, hasContent: boolean): boolean {
    const end = endOf(choice);
    if (end === "none") return false;
    if (end === "abandoned") {
      this.#fail("error-frame", abandonedMessage);
      return true;
    }
    this.#finished.add(choice.index);
    this.#keepNoMore();
    const mayBeSilent = this.contentEvents > 0 || this.#options.isRest === true;
    if (hasContent || mayBeSilent || end === "cause") this.semantic = true;
    else this.#hasAnswered();
    return true;
  }

  #readUsage(value: unknown): void {
    const usage = readUsage(value);
    if (usage === undefined) return;
    const before = this.#seam?.before;
    this.usage = before === undefined ? usage : joinUsage(usage, before.tokens);
    this.#hasAnswered();
  }

  #keep(text: string): void {
    this.#text += text;
    if (this.#text.length > keptTextMax) this.#keepNoMore();
  }

  #keepNoMore(): void {
    this.#keeps = false;
    this.#text = "";
  }

  /** An event of a stream that goes on from another one. */
  #goOn(chunk: Chunk): ByteText {
    let out = "";
    for (const each of this.#seam?.take(chunk) ?? []) out += this.#relayRest(each);
    return out;
  }

  /** What was held as a possible echo, and is none. */
  #release(): ByteText {
    let out = "";
    for (const each of this.#seam?.release() ?? []) out += this.#relayRest(each);
    return out;
  }

  #relayRest(chunk: Chunk): ByteText {
    const { value } = chunk;
    if (this.fault !== undefined) return "";
    const isSaid = this.#read(value);
    // The client has a role already, and no use for an event that says nothing.
    if (this.fault !== undefined || !(isSaid || isRecord(value.usage))) return "";
    const raw = this.#seam?.fit(chunk) ?? chunk.raw;
    return this.#model.show(this.#fitUsage(raw, value), value.model);
  }

  #fitUsage(raw: ByteText, value: Fields): ByteText {
    if (value.usage === undefined) return raw;
    if (!this.#options.includeUsage) return withoutUsage(raw, value);
    if (!isRecord(value.usage) || this.usage === undefined) return raw;
    const json = raw.indexOf("{");
    const end = raw.lastIndexOf("}") + 1;
    const literal = asciiJson(rewriteUsage(value.usage, this.usage));
    return (
      raw.slice(0, json) + setTopLevel(raw.slice(json, end), "usage", literal) + raw.slice(end)
    );
  }

  #fail(kind: AnswerFault["kind"], message: string): "" {
    this.fault = { kind, message };
    return "";
  }
}

const unnamedError = { message: "the model server reported an error" };

/** Half a character: the other half is in the next event. */
function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** JSON may be written on several lines of data. Between its tokens a space says the same. */
function onOneLine(data: ByteText): ByteText {
  return `data: ${data.replaceAll("\n", " ")}\n\n`;
}

/** With the blank line that it lacked. */
function ended(event: SseEvent): SseEvent {
  return { ...event, raw: `${event.raw.trimEnd()}\n\n` };
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
