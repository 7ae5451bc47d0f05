// The model's name in the events of a stream, as the client knows it.

import { asciiJson, type ByteText } from "../byte-text.ts";
import { findTopLevel, splice } from "../json-splice.ts";

export class ModelName {
  readonly #name: string;
  readonly #literal: ByteText;
  /** `"model":"…"` as the upstream writes it, and as the client is to see it. */
  #field: ByteText = "";
  #shown: ByteText = "";

  constructor(name: string) {
    this.#name = name;
    this.#literal = asciiJson(name);
  }

  /** Most events carry the very same field: one search finds it. Others are searched key by key. */
  show(raw: ByteText, model: unknown): ByteText {
    if (typeof model !== "string" || model === this.#name) return raw;
    const at = this.#field === "" ? -1 : raw.indexOf(this.#field);
    if (at >= 0 && raw.indexOf(this.#field, at + 1) < 0) {
      return raw.slice(0, at) + this.#shown + raw.slice(at + this.#field.length);
    }
    const body = raw.indexOf("{");
    const spans = findTopLevel(raw.slice(body), "model");
    const span = spans[0];
    if (spans.length === 1 && span !== undefined) {
      const from = raw.lastIndexOf('"model"', body + span.start);
      this.#field = from < 0 ? "" : raw.slice(from, body + span.end);
      this.#shown = from < 0 ? "" : raw.slice(from, body + span.start) + this.#literal;
    }
    return raw.slice(0, body) + splice(raw.slice(body), spans, this.#literal);
  }
}
