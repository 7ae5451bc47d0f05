// Where a stream goes on from another server's: the same id, no role and no word twice, and one account of its usage.

import type { ByteText } from "../byte-text.ts";
import type { Usage } from "../protocol.ts";

type Fields = { readonly [name: string]: unknown };

/** What the client knows of the stream that broke. */
export type BrokenStream = {
  readonly id: unknown;
  readonly created: unknown;
  /** Everything said so far, in bytes as text. */
  readonly text: ByteText;
  /** About its tokens. */
  readonly tokens: number;
};

/** Below this a repetition may well be the answer's own: "no, no, …". */
const echoMin = 24;

export type EchoVerdict =
  | { readonly kind: "hold" }
  | { readonly kind: "pass" }
  | { readonly kind: "rest"; readonly rest: ByteText };

/**
 * Recognises a server that says the words before the seam again, instead of going on from them. What might be such an
 * echo is held back until it is one as a whole, or is none: real text is never lost, unless an answer of at least 24
 * characters repeats itself from its very start.
 */
export class EchoFilter {
  readonly #said: ByteText;
  /** How much of it was said again; −1: it is no echo, or it is over. */
  #again = 0;

  constructor(said: ByteText) {
    this.#said = said;
    if (said.length < echoMin) this.#again = -1;
  }

  get isUndecided(): boolean {
    return this.#again >= 0;
  }

  /** Takes the next piece of text: `hold` it, or `pass` on what was held and all of this, or the `rest` of this alone. */
  take(text: ByteText): EchoVerdict {
    const expected = this.#said.slice(this.#again, this.#again + text.length);
    const left = this.#said.length - this.#again;
    if (text.length < left && text === expected) {
      this.#again += text.length;
      return { kind: "hold" };
    }
    const isEcho = text.length >= left && text.startsWith(expected);
    this.#again = -1;
    return isEcho ? { kind: "rest", rest: text.slice(left) } : { kind: "pass" };
  }
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
