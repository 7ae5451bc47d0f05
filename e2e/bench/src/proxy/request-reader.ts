// Reads HTTP/1.1 requests from a connection: heads and bodies of known length, nothing else.

const headEnd = "\r\n\r\n";

export class RequestReader {
  readonly #onRequest: (head: string, body: Buffer) => void;
  #chunks: Buffer[] = [];
  #held = 0;
  /** Bytes that the request needs in all; 0: its head is not complete. */
  #needed = 0;
  #head = "";
  #headLength = 0;

  constructor(onRequest: (head: string, body: Buffer) => void) {
    this.#onRequest = onRequest;
  }

  /** Throws on a body without a length. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    while (this.#takeOne());
  }

  #takeOne(): boolean {
    if (this.#held === 0) return false;
    if (this.#needed === 0 && !this.#readHead()) return false;
    if (this.#held < this.#needed) return false;
    const all = this.#joined();
    const body = all.subarray(this.#headLength, this.#needed);
    const rest = all.subarray(this.#needed);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
    this.#needed = 0;
    this.#onRequest(this.#head, body);
    return true;
  }

  #readHead(): boolean {
    const all = this.#joined();
    const end = all.indexOf(headEnd, 0, "latin1");
    if (end < 0) return false;
    this.#head = all.toString("latin1", 0, end);
    this.#headLength = end + headEnd.length;
    this.#needed = this.#headLength + bodyLength(this.#head);
    return true;
  }

  #joined(): Buffer {
    const [only] = this.#chunks;
    if (this.#chunks.length === 1 && only !== undefined) return only;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}

function bodyLength(head: string): number {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) return Number(length);
  if (/\r\ntransfer-encoding:/i.test(head)) throw new Error("a body without a length");
  return 0;
}
