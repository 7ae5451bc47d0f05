// A model server that replays a recorded answer up to a byte and then ends or breaks, as the request says in `user`.

import { createServer, type Server, type Socket } from "node:net";

/** How the answer ends at its last byte. */
export const cutEnds = ["end", "reset", "short"] as const;
export type CutEnd = (typeof cutEnds)[number];

/** `at` undefined: the whole recording. */
export type Cut = { readonly at: number | undefined; readonly how: CutEnd };

export type Recording = { readonly type: string; readonly body: Buffer };

export function nameCut(recording: string, cut: Cut): string {
  return `cut/${recording}/${cut.at ?? "whole"}/${cut.how}`;
}

/** Recordings by name. Counts the requests that each cut was asked by. */
export class ScriptedUpstream {
  readonly asked = new Map<string, number>();
  readonly #recordings: ReadonlyMap<string, Recording>;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(recordings: ReadonlyMap<string, Recording>) {
    this.#recordings = recordings;
  }

  async listen(ports: readonly number[]): Promise<void> {
    await Promise.all(
      ports.map((port) => {
        const server = createServer((socket) => this.#serve(socket));
        this.#servers.push(server);
        return new Promise<void>((resolve) => server.listen(port, "127.0.0.1", () => resolve()));
      }),
    );
  }

  stop(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** One request for each connection: it is said so, and a cut would spoil the next one. */
  #serve(socket: Socket): void {
    let text = "";
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("data", (piece) => {
      text += piece.toString("latin1");
      if (isWhole(text)) this.#answer(socket, text);
    });
  }

  #answer(socket: Socket, text: string): void {
    const found = /"user":"(cut\/([a-z]+)\/(\d+|whole)\/([a-z]+))"/.exec(text);
    const [, name = "", recorded = "", at = "", how = ""] = found ?? [];
    const recording = this.#recordings.get(recorded);
    if (recording === undefined) {
      socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
      return;
    }
    this.asked.set(name, (this.asked.get(name) ?? 0) + 1);
    const { type, body } = recording;
    const part = at === "whole" ? body : body.subarray(0, Number(at));
    const head = `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\nconnection: close\r\n`;
    if (how === "short") {
      // The length is promised; a clean end of the connection comes sooner.
      socket.write(`${head}content-length: ${body.length}\r\n\r\n`);
      socket.end(part);
      return;
    }
    socket.write(`${head}transfer-encoding: chunked\r\n\r\n`);
    if (part.length > 0) {
      socket.write(`${part.length.toString(16)}\r\n`);
      socket.write(part);
      socket.write("\r\n");
    }
    if (how === "end") socket.end("0\r\n\r\n");
    else socket.end();
  }
}

function isWhole(text: string): boolean {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const length = Number(/^content-length: *(\d+)/im.exec(text.slice(0, head))?.[1] ?? "0");
  return text.length >= head + 4 + length;
}
