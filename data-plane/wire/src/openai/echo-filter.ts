// Recognises a server that says the words before a seam again, instead of going on from them.

/** Below this a repetition may well be the answer's own: "no, no, …". */
const echoMin = 24;

/** `hold` the piece; or `pass` on what was held and all of this; or the `rest` of this alone. */
export type EchoVerdict =
  | { readonly kind: "hold" }
  | { readonly kind: "pass" }
  | { readonly kind: "rest"; readonly rest: string };

const hold: EchoVerdict = { kind: "hold" };
const pass: EchoVerdict = { kind: "pass" };

/**
 * What might be such an echo is held back until it is one as a whole, or is none. Then nothing of it is lost: an echo is
 * all of what was said, at least 24 characters, said again from its first one. An answer could only do that itself by
 * being one phrase over and over, which is looked for: then nothing is taken for an echo.
 */
export class EchoFilter {
  readonly #said: string;
  /** How much of it was said again; -1: it is no echo, or it is over. */
  #again = 0;

  constructor(said: string) {
    this.#said = said;
    if (said.length < echoMin || isRepetition(said)) this.#again = -1;
  }

  get isUndecided(): boolean {
    return this.#again >= 0;
  }

  /** Takes the next piece of text, which is not empty. */
  take(text: string): EchoVerdict {
    if (this.#again < 0) return pass;
    const left = this.#said.length - this.#again;
    const size = Math.min(left, text.length);
    const isSame = this.#said.startsWith(text.slice(0, size), this.#again);
    if (isSame && size < left) {
      this.#again += size;
      return hold;
    }
    this.#again = -1;
    return isSame ? { kind: "rest", rest: text.slice(size) } : pass;
  }

  /** Something other than text came: it is no echo. */
  giveUp(): void {
    this.#again = -1;
  }
}

/** One phrase, over and over: its shortest period divides its length (Knuth, Morris and Pratt's failure function). */
function isRepetition(text: string): boolean {
  const border = new Int32Array(text.length);
  let at = 0;
  for (let index = 1; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    while (at > 0 && text.charCodeAt(at) !== unit) at = border[at - 1] ?? 0;
    if (text.charCodeAt(at) === unit) at += 1;
    border[index] = at;
  }
  const period = text.length - at;
  return period < text.length && text.length % period === 0;
}
