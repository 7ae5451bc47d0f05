// The model server of the proxy bench: scripted answers over raw sockets, so that its cost stays far below what is
// measured. Started by the bench, ends with it.

import { createServer, type Socket } from "node:net";
import type { FromUpstream, ToUpstream } from "./messages.ts";
import { RequestReader } from "./request-reader.ts";
import {
  nonceFrom,
  nonceOf,
  streamEnd,
  streamParts,
  tokensPerStream,
  wholeAnswer,
  withNonce,
} from "./workload.ts";

type Stream = {
  readonly socket: Socket;
  readonly token: string;
  readonly end: string;
  /** Which of the ticks within an interval is its own. */
  readonly slot: number;
  sent: number;
};

const tickMs = 1;
const answer = wholeAnswer();
const answerHead =
  "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" +
  `content-length: ${answer.bytes.length}\r\n\r\n`;
const answerStart = answerHead + answer.bytes.toString("latin1", 0, answer.nonceAt);
const answerRest = answer.bytes.toString(
  "latin1",
  answer.nonceAt + nonceFrom(0).length,
  answer.bytes.length,
);
const streamHead =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n" +
  "transfer-encoding: chunked\r\n\r\n";
const healthy = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const refused = "HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\n\r\n";
const parts = streamParts();

const streams = new Set<Stream>();
let pace = { intervalMs: 2, isEndless: false };
let ticks = 0;
let opened = 0;

process.on("disconnect", () => process.exit(0));
// The bench of this package sends it.
process.on("message", (message: ToUpstream) => {
  if (message.kind === "listen") void listen(message.ports);
  else {
    pace = message;
    tell({ kind: "paced" });
  }
});
setInterval(tick, tickMs);

async function listen(count: number): Promise<void> {
  const ports = await Promise.all(Array.from({ length: count }, listenOnFreePort));
  tell({ kind: "listening", ports });
}

function listenOnFreePort(): Promise<number> {
  const server = createServer({ noDelay: true }, serve);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(address.port);
    });
  });
}

function serve(socket: Socket): void {
  const reader = new RequestReader((head, body) => reply(socket, head, body));
  socket.on("data", (chunk: Buffer) => reader.push(chunk));
  socket.on("error", () => socket.destroy());
}

function reply(socket: Socket, head: string, body: Buffer): void {
  if (head.startsWith("GET") || head.startsWith("HEAD")) {
    socket.write(healthy);
    return;
  }
  const nonce = nonceOf(body);
  if (nonce === undefined) {
    socket.write(refused);
    return;
  }
  // The flags come after the prompt or before it, but the prompt holds neither.
  if (body.includes('"stream":true', 0, "latin1")) openStream(socket, nonce, body);
  else socket.write(answerStart + nonce + answerRest, "latin1");
}

function openStream(socket: Socket, nonce: string, body: Buffer): void {
  const usage = body.includes('"include_usage":true', 0, "latin1") ? parts.usage : "";
  opened += 1;
  const stream: Stream = {
    socket,
    token: chunked(withNonce(parts.token, nonce)),
    end: `${chunked(withNonce(parts.last + usage, nonce) + streamEnd)}0\r\n\r\n`,
    slot: opened,
    sent: 1,
  };
  streams.add(stream);
  socket.once("close", () => streams.delete(stream));
  socket.write(streamHead + chunked(withNonce(parts.first, nonce)), "latin1");
}

function tick(): void {
  ticks += 1;
  const interval = Math.max(1, Math.round(pace.intervalMs / tickMs));
  for (const stream of streams) {
    if ((stream.slot + ticks) % interval === 0) advance(stream);
  }
}

function advance(stream: Stream): void {
  if (stream.sent < tokensPerStream || pace.isEndless) {
    stream.sent += 1;
    stream.socket.write(stream.token, "latin1");
    return;
  }
  streams.delete(stream);
  stream.socket.removeAllListeners("close");
  stream.socket.write(stream.end, "latin1");
}

function chunked(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

function tell(message: FromUpstream): void {
  process.send?.(message);
}
