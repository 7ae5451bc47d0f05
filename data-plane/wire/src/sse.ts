// Reads server-sent events as they come, for taps: any line end, any cut, comments, bounded. Each event keeps its raw
// text, so that what is relayed is what came. Rules: WHATWG HTML, section 9.2.6.

import type { ByteText } from "./byte-text.ts";

/** An event (or a run of comments) with the blank line that ends it. */
export type SseEvent = {
  readonly raw: ByteText;
  /** Lines of `data` joined by a line feed; undefined: the event has none and is never dispatched. */
  readonly data: ByteText | undefined;
  /** The `event` field; "" when there is none. */
  readonly name: ByteText;
  /** The value of a field named `error`, which old llama.cpp servers send instead of an event. */
  readonly errorField: ByteText | undefined;
};

/** A frame beyond this is refused: audio and log-probabilities stay below. */
export const sseEventBytesMax = 1_048_576;

/**
 * An incremental scanner. Push text, take events; the unfinished rest stays inside.
 *
 * @example
 * const scanner = new SseScanner();
 * scanner.push('data: {"a"');   // → []
 * scanner.push(':1}\n\n');      // → [{ raw: 'data: {"a":1}\n\n', data: '{"a":1}', name: "", … }]
 */
export class SseScanner {
  readonly #bytesMax: number;
  #rest: ByteText = "";
  /** Start of the line that is not complete, in `#rest`. */
  #lineAt = 0;
  /** The last character was a carriage return: a line feed right after it belongs to it. */
  #afterCr = false;
  #atStart = true;
  #overflowed = false;
  #data: ByteText | undefined;
  #name: ByteText = "";
  #errorField: ByteText | undefined;

  constructor(bytesMax: number = sseEventBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** true once an event was longer than the limit; nothing more is read then. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  push(chunk: ByteText): readonly SseEvent[] {
    if (this.#overflowed || chunk === "") return [];
    const text = this.#rest === "" ? chunk : this.#rest + chunk;
    const events: SseEvent[] = [];
    let eventAt = 0;
    let at = this.#skipMarks(text);
    let cr = text.indexOf("\r", at);
    for (;;) {
      if (cr >= 0 && cr < at) cr = text.indexOf("\r", at);
      const lf = text.indexOf("\n", at);
      const end = lf < 0 ? cr : cr < 0 ? lf : Math.min(lf, cr);
      if (end < 0) break;
      const next = end === cr ? this.#afterReturn(text, end) : end + 1;
      if (end > at) this.#field(text.slice(at, end));
      else if (next > eventAt) {
        events.push(this.#take(text.slice(eventAt, next)));
        eventAt = next;
      }
      at = next;
    }
    this.#rest = eventAt === 0 ? text : text.slice(eventAt);
    this.#lineAt = at - eventAt;
    if (this.#rest.length > this.#bytesMax) this.#overflow();
    return events;
  }

  /** After the last byte: the event that no blank line ended; undefined when there is none. */
  end(): SseEvent | undefined {
    if (this.#rest.length > this.#lineAt) this.#field(this.#rest.slice(this.#lineAt));
    const raw = this.#rest;
    this.#rest = "";
    this.#lineAt = 0;
    return raw.trim() === "" ? undefined : this.#take(raw);
  }

  /** Where the next line starts: past what was read before, a byte order mark, the line feed of a split CRLF. */
  #skipMarks(text: ByteText): number {
    let at = this.#lineAt;
    if (this.#afterCr && text.charCodeAt(at) === 0x0a) at += 1;
    this.#afterCr = false;
    if (this.#atStart && at === 0) {
      if (text.startsWith("\u00ef\u00bb\u00bf")) at = 3;
      // A mark may itself be cut; it is decided when three bytes are there.
      this.#atStart = text.length < 3 && "\u00ef\u00bb\u00bf".startsWith(text);
    }
    return at;
  }

  #afterReturn(text: ByteText, at: number): number {
    if (text.charCodeAt(at + 1) === 0x0a) return at + 2;
    if (at + 1 === text.length) this.#afterCr = true;
    return at + 1;
  }

  #field(line: ByteText): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const start = line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1;
    const value = colon < 0 ? "" : line.slice(start);
    if (field === "data") this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
    else if (field === "event") this.#name = value;
    else if (field === "error") this.#errorField = value;
  }

  #take(raw: ByteText): SseEvent {
    const event = { raw, data: this.#data, name: this.#name, errorField: this.#errorField };
    this.#data = undefined;
    this.#name = "";
    this.#errorField = undefined;
    return event;
  }

  #overflow(): void {
    this.#overflowed = true;
    this.#rest = "";
  }
}
