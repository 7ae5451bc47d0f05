// Reads HTTP/1.1 answers from a connection, with a length or in chunks; told of bodies as they grow.

const headEnd = "\r\n\r\n";

export type AnswerListener = {
  /** A part of the body. */
  readonly onBody: (part: Buffer) => void;
  readonly onEnd: (status: number) => void;
};

type State = "head" | "length" | "chunk-head" | "chunk" | "chunk-end";

export class AnswerReader {
  readonly #listener: AnswerListener;
  #rest: Buffer | undefined;
  #state: State = "head";
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;
  #isLastChunk = false;
  #status = 0;

  constructor(listener: AnswerListener) {
    this.#listener = listener;
  }

  /** Throws on what is no HTTP/1.1 answer. */
  push(chunk: Buffer): void {
    let bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    while (bytes.length > 0) {
      const used = this.#take(bytes);
      if (used === 0) {
        this.#rest = bytes;
        return;
      }
      bytes = bytes.subarray(used);
    }
  }

  /** Bytes used; 0: more are needed. */
  #take(bytes: Buffer): number {
    switch (this.#state) {
      case "head":
        return this.#takeHead(bytes);
      case "chunk-head":
        return this.#takeChunkHead(bytes);
      case "chunk-end":
        return this.#takeChunkEnd(bytes);
      default:
        return this.#takeBody(bytes);
    }
  }

  #takeHead(bytes: Buffer): number {
    const end = bytes.indexOf(headEnd, 0, "latin1");
    if (end < 0) return 0;
    const head = bytes.toString("latin1", 0, end);
    this.#status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      if (!/\r\ntransfer-encoding: *chunked/i.test(head)) throw new Error("no length, no chunks");
      this.#state = "chunk-head";
    } else {
      this.#left = Number(length);
      this.#state = "length";
      if (this.#left === 0) this.#end();
    }
    return end + headEnd.length;
  }

  #takeChunkHead(bytes: Buffer): number {
    const end = bytes.indexOf("\r\n", 0, "latin1");
    if (end < 0) return 0;
    this.#left = Number.parseInt(bytes.toString("latin1", 0, end), 16);
    if (Number.isNaN(this.#left)) throw new Error("a chunk without a length");
    this.#isLastChunk = this.#left === 0;
    this.#state = this.#isLastChunk ? "chunk-end" : "chunk";
    return end + 2;
  }

  #takeBody(bytes: Buffer): number {
    const part = bytes.length <= this.#left ? bytes : bytes.subarray(0, this.#left);
    this.#left -= part.length;
    this.#listener.onBody(part);
    if (this.#left === 0) {
      if (this.#state === "length") this.#end();
      else this.#state = "chunk-end";
    }
    return part.length;
  }

  #takeChunkEnd(bytes: Buffer): number {
    if (bytes.length < 2) return 0;
    if (this.#isLastChunk) this.#end();
    else this.#state = "chunk-head";
    return 2;
  }

  #end(): void {
    this.#state = "head";
    this.#isLastChunk = false;
    this.#listener.onEnd(this.#status);
  }
}
