// A response that leaves in small pieces, as over a very bad line.

import type { ServerResponse } from "node:http";

/** Takes what is to be written and lets it go bit by bit. */
export class Trickle {
  readonly #response: ServerResponse;
  readonly #bytes: number;
  readonly #timer: NodeJS.Timeout;
  #waiting = Buffer.alloc(0);
  #isLast = false;

  constructor(
    response: ServerResponse,
    pace: { readonly bytes: number; readonly everyMs: number },
  ) {
    this.#response = response;
    this.#bytes = pace.bytes;
    this.#timer = setInterval(() => this.#step(), pace.everyMs);
    response.on("close", () => clearInterval(this.#timer));
  }

  write(text: string): void {
    this.#waiting = Buffer.concat([this.#waiting, Buffer.from(text)]);
  }

  end(text: string): void {
    this.write(text);
    this.#isLast = true;
  }

  #step(): void {
    const piece = this.#waiting.subarray(0, this.#bytes);
    this.#waiting = this.#waiting.subarray(piece.length);
    if (piece.length > 0) this.#response.write(piece);
    if (this.#isLast && this.#waiting.length === 0) {
      clearInterval(this.#timer);
      this.#response.end();
    }
  }
}
