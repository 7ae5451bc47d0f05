// One client connection of the load generator: asks, checks the answer, asks again.

import { connect, type Socket } from "node:net";
import { AnswerReader } from "./answer-reader.ts";
import type { Target } from "./messages.ts";
import {
  type BodyKind,
  nonceFrom,
  requestBody,
  streamEnd,
  streamedAnswer,
  streamParts,
  type Template,
  tokensPerStream,
  wholeAnswer,
} from "./workload.ts";

export type ConnectionEvents = {
  readonly onFirstToken: (ms: number) => void;
  /** `failure` says what was wrong with the answer. */
  readonly onAnswer: (ms: number, failure: string | undefined) => void;
};

const firstTokenBytes = streamParts().first.length;
const shownMax = 200;

/** What all connections of a run send and expect. */
export class Script {
  readonly isStream: boolean;
  /** A stream without a set length: its status and its end are checked, the rest is not kept. */
  readonly isEndless: boolean;
  readonly target: Target;
  readonly request: Template;
  readonly #expected: Template;

  constructor(target: Target, kind: BodyKind, isEndless = false) {
    const body = requestBody(kind);
    const head = requestHead(target, body.bytes.length);
    this.isStream = kind === "stream";
    this.isEndless = isEndless;
    this.target = target;
    this.request = {
      bytes: Buffer.concat([Buffer.from(head), body.bytes]),
      nonceAt: head.length + body.nonceAt,
    };
    this.#expected = wholeAnswer();
  }

  /** undefined: the answer is right. */
  judge(status: number, nonce: string, body: Buffer): string | undefined {
    if (status === 200 && this.#isRight(nonce, body)) return undefined;
    return `status ${status}: ${body.toString("latin1", 0, shownMax)}`;
  }

  #isRight(nonce: string, body: Buffer): boolean {
    if (this.isEndless)
      return body.toString("latin1", body.length - streamEnd.length) === streamEnd;
    if (this.target.check === "content") return this.#hasContent(nonce, body);
    if (this.isStream) return body.equals(streamedAnswer(nonce));
    this.#expected.bytes.write(nonce, this.#expected.nonceAt, "latin1");
    return body.equals(this.#expected.bytes);
  }

  #hasContent(nonce: string, body: Buffer): boolean {
    const text = body.toString("latin1", 0, body.length);
    if (!text.includes(nonce)) return false;
    if (!this.isStream) return text.includes("A city on a river");
    return text.split('" token"').length - 1 === tokensPerStream && text.endsWith(streamEnd);
  }
}

function requestHead(target: Target, length: number): string {
  const headers = {
    host: `127.0.0.1:${target.port}`,
    "content-type": "application/json",
    ...target.headers,
    "content-length": String(length),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return `POST ${target.path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
}

export class LoadConnection {
  readonly #script: Script;
  readonly #events: ConnectionEvents;
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #answer: AnswerReader;
  #parts: Buffer[] = [];
  #bytes = 0;
  #count: number;
  #nonce = "";
  #askedAt = 0;

  /** `first` is the number of its first request; numbers of a run must not meet. */
  constructor(script: Script, first: number, events: ConnectionEvents) {
    this.#script = script;
    this.#count = first;
    this.#events = events;
    this.#request = Buffer.from(script.request.bytes);
    this.#answer = new AnswerReader({
      onBody: (part) => this.#take(part),
      onEnd: (status) => this.#finish(status),
    });
    this.#socket = connect({ port: script.target.port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk: Buffer) => this.#push(chunk));
    this.#socket.on("error", (error) => this.#broken(error.message));
    this.#socket.on("close", () => this.#broken("the connection was closed"));
  }

  ask(): void {
    this.#count += 1;
    this.#nonce = nonceFrom(this.#count);
    this.#request.write(this.#nonce, this.#script.request.nonceAt, "latin1");
    this.#parts = [];
    this.#bytes = 0;
    this.#askedAt = performance.now();
    this.#socket.write(this.#request);
  }

  close(): void {
    this.#askedAt = 0;
    this.#socket.destroy();
  }

  #push(chunk: Buffer): void {
    try {
      this.#answer.push(chunk);
    } catch (cause) {
      this.#broken(String(cause));
    }
  }

  #take(part: Buffer): void {
    const before = this.#bytes;
    this.#bytes += part.length;
    if (this.#script.isEndless) this.#parts = [Buffer.from(part)];
    else this.#parts.push(part);
    if (this.#script.isStream && before < firstTokenBytes && this.#bytes >= firstTokenBytes) {
      this.#events.onFirstToken(performance.now() - this.#askedAt);
    }
  }

  #finish(status: number): void {
    const ms = performance.now() - this.#askedAt;
    const [only] = this.#parts;
    const body = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts);
    this.#askedAt = 0;
    this.#parts = [];
    this.#events.onAnswer(ms, this.#script.judge(status, this.#nonce, body));
  }

  #broken(why: string): void {
    if (this.#askedAt === 0) return;
    this.#askedAt = 0;
    this.#socket.destroy();
    this.#events.onAnswer(Number.NaN, why);
  }
}
