// The fingerprint of a run: everything that happens is mixed in, so that two runs with one hash did the same.

const floats = new Float64Array(1);
const words = new Uint32Array(floats.buffer);

export class Trace {
  #high = 0x811c9dc5;
  #low = 0x9e3779b9;
  #notes = 0;

  /** A kind of event (a small number of the caller's) with up to three numbers: instants, ids, counts. */
  note(kind: number, a: number, b = 0, c = 0): void {
    this.#notes += 1;
    this.#mix(kind);
    this.#number(a);
    this.#number(b);
    this.#number(c);
  }

  /** Text: names, reasons. */
  text(text: string): void {
    this.#notes += 1;
    for (let at = 0; at < text.length; at++) this.#mix(text.charCodeAt(at));
  }

  get notes(): number {
    return this.#notes;
  }

  /** 16 hexadecimal digits. */
  hash(): string {
    return hex(this.#high) + hex(this.#low);
  }

  #number(value: number): void {
    floats[0] = value;
    this.#mix(words[0] ?? 0);
    this.#mix(words[1] ?? 0);
  }

  #mix(word: number): void {
    this.#high = Math.imul(this.#high ^ word, 0x01000193);
    this.#high ^= this.#high >>> 15;
    this.#low = Math.imul(this.#low ^ word, 0x85ebca6b) + this.#high;
    this.#low ^= this.#low >>> 13;
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
