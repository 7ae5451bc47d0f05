// For tests: a way to another region that can be cut.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export class TestRelay {
  readonly #to: number;
  readonly #delayMs: number;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#pass(socket));
  #isCut = false;

  /** To a port of this machine; each part of what passes is late by so much, one way. */
  constructor(to: number, delayMs = 0) {
    this.#to = to;
    this.#delayMs = delayMs;
  }

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get address(): string {
    // It listens on a host and a port.
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections end, and new ones too. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  stop(): void {
    this.cut();
    this.#server.close();
  }

  #pass(socket: Socket): void {
    if (this.#isCut) {
      socket.destroy();
      return;
    }
    const other = connect(this.#to, "127.0.0.1");
    for (const [one, two] of [
      [socket, other],
      [other, socket],
    ] as const) {
      this.#sockets.add(one);
      one.on("data", (chunk) => setTimeout(() => two.write(chunk), this.#delayMs));
      one.on("end", () => setTimeout(() => two.end(), this.#delayMs));
      one.on("error", () => one.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        two.destroy();
      });
    }
  }
}
