// The client's side of an exchange: head, chunks with back-pressure, a clean end, or an end that nobody can take for one.

import type { ServerResponse } from "node:http";
import type { ByteText } from "@meridian/wire";

/** How long a slow client has to take the error frame before its connection is cut. */
const breakGraceMs = 5_000;

/** Headers as a flat list, as Node writes them fastest. */
export type HeaderList = string[];

export class ClientAnswer {
  readonly #response: ServerResponse;
  readonly #onDrain: () => void;
  #listens = false;
  status = 0;

  constructor(response: ServerResponse, onDrain: () => void) {
    this.#response = response;
    this.#onDrain = onDrain;
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  get gone(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  head(status: number, headers: HeaderList): void {
    this.status = status;
    this.#response.writeHead(status, headers);
  }

  /** false: the client is slow; `onDrain` tells when to go on. */
  write(chunk: ByteText | Buffer): boolean {
    const response = this.#response;
    if (response.destroyed) return true;
    const flows =
      typeof chunk === "string" ? response.write(chunk, "latin1") : response.write(chunk);
    if (!flows && !this.#listens) {
      this.#listens = true;
      response.on("drain", this.#onDrain);
    }
    return flows;
  }

  end(last: ByteText = ""): void {
    if (last === "") this.#response.end();
    else this.#response.end(last, "latin1");
  }

  /** The whole answer at once. */
  send(status: number, headers: HeaderList, body: ByteText | Buffer): void {
    headers.push("content-length", String(body.length));
    this.head(status, headers);
    if (typeof body === "string") this.#response.end(body, "latin1");
    else this.#response.end(body);
  }

  /** Sends a last frame and cuts the connection: without its terminating chunk no client takes the body for complete. */
  breakOff(frame: ByteText): void {
    const response = this.#response;
    if (response.destroyed) return;
    if (frame === "") {
      response.destroy();
      return;
    }
    const cut = setTimeout(() => response.destroy(), breakGraceMs);
    response.write(frame, "latin1", () => {
      clearTimeout(cut);
      response.destroy();
    });
  }
}
