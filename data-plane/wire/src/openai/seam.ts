// Where a stream goes on from another server's: the same id, no role and no word twice, and one account of its usage.

import { asciiJson, type ByteText } from "../byte-text.ts";
import { removeTopLevel, setTopLevel } from "../json-splice.ts";
import type { Usage } from "../protocol.ts";
import { contentOf, endOf, textOf } from "./choice-content.ts";
import { EchoFilter } from "./echo-filter.ts";
import { isRecord } from "./error-object.ts";

type Fields = { readonly [name: string]: unknown };

/** One event and what it says, in characters. */
export type Chunk = { readonly raw: ByteText; readonly value: Fields };

/** What the client knows of the stream that broke. */
export type BrokenStream = {
  readonly id: unknown;
  readonly created: unknown;
  /** Everything said so far, in characters. */
  readonly text: string;
  /** About its tokens. */
  readonly tokens: number;
};

const nothing: readonly Chunk[] = [];

/** The first events after a seam, and what makes each event one of the stream that the client knows. */
export class Seam {
  readonly before: BrokenStream;
  readonly #echo: EchoFilter;
  /** Events that may be an echo. */
  #held: Chunk[] = [];

  constructor(before: BrokenStream) {
    this.before = before;
    this.#echo = new EchoFilter(before.text);
  }

  /** Takes the next event; returns those that are due now, which may be none. */
  take(chunk: Chunk): readonly Chunk[] {
    if (!this.#echo.isUndecided) return [chunk];
    const content = said(chunk.value);
    if (content === "nothing") return nothing;
    if (content === "other") return [...this.release(), chunk];
    const verdict = this.#echo.take(content.text);
    switch (verdict.kind) {
      case "hold":
        this.#held.push(chunk);
        return nothing;
      case "pass":
        return [...this.release(), chunk];
      case "rest":
        this.#held = [];
        return [withText(chunk.value, verdict.rest)];
    }
  }

  /** Nothing more comes that could make an echo of what is held. */
  release(): readonly Chunk[] {
    this.#echo.giveUp();
    const held = this.#held;
    this.#held = [];
    return held;
  }

  /** As an event of the first stream. The other server's mark of its build is left out: it did not make all of it. */
  fit({ raw, value }: Chunk): ByteText {
    const { id, created } = this.before;
    const json = raw.indexOf("{");
    const end = raw.lastIndexOf("}") + 1;
    let out = withoutRole(raw.slice(json, end), value);
    if (id !== undefined) out = setTopLevel(out, "id", asciiJson(id));
    if (created !== undefined) out = setTopLevel(out, "created", asciiJson(created));
    if (value.system_fingerprint !== undefined) out = removeTopLevel(out, "system_fingerprint");
    return raw.slice(0, json) + out + raw.slice(end);
  }
}

/** What an event after a seam says of its one choice. */
function said({ choices, usage }: Fields): "nothing" | "other" | { readonly text: string } {
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const tells = isRecord(usage) ? "other" : "nothing";
  if (!isRecord(choice)) return tells;
  const content = contentOf(choice);
  if (content === "text") return { text: textOf(choice) };
  return content === "more" || endOf(choice) !== "none" ? "other" : tells;
}

/** The same event with another text. */
function withText(value: Fields, text: string): Chunk {
  const choice: unknown = Array.isArray(value.choices) ? value.choices[0] : undefined;
  const { delta, ...more } = isRecord(choice) ? choice : {};
  const changed = isRecord(delta)
    ? { ...more, delta: { ...delta, content: text } }
    : { ...more, text };
  const whole = { ...value, choices: [changed] };
  return { raw: `data: ${asciiJson(whole)}\n\n`, value: whole };
}

const role = '"role":"assistant",';

/** Some servers repeat the role in every event. Where it is written otherwise it stays, which clients don't mind. */
function withoutRole(text: ByteText, { choices }: Fields): ByteText {
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const delta = isRecord(choice) ? choice.delta : undefined;
  if (!isRecord(delta) || delta.role !== "assistant") return text;
  const at = text.indexOf(role);
  if (at < 0 || text.indexOf('"role"', at + role.length) >= 0) return text;
  return text.slice(0, at) + text.slice(at + role.length);
}

/**
 * The second server counts the words before the seam as its input. The client is told of one answer: the sum stays what
 * was really computed.
 */
export function joinUsage(usage: Usage, tokens: number): Usage {
  const moved = Math.min(tokens, usage.inputTokens);
  return { inputTokens: usage.inputTokens - moved, outputTokens: usage.outputTokens + moved };
}

/** The usage as the server wrote it, with the joined numbers. */
export function rewriteUsage(usage: Fields, joined: Usage): Fields {
  return {
    ...usage,
    prompt_tokens: joined.inputTokens,
    completion_tokens: joined.outputTokens,
    total_tokens: joined.inputTokens + joined.outputTokens,
  };
}
