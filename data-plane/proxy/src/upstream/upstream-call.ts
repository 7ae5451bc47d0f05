// One call to a backend or to another region's proxy: undici's handler, from the first byte sent to the last one read.
// It decides nothing. It reads the answer as the protocol says and tells its listener what came.

import {
  type Candidate,
  judgeStatus,
  type UpstreamFailure,
  upstreamFailure,
} from "@meridian/data-core/attempt";
import type { Instant } from "@meridian/proto/base";
import type { ByteText, StreamOptions, StreamTap } from "@meridian/wire";
import type { Dispatcher } from "undici";
import { type AnswerHeaders, faultFailure, statusFailure } from "./answer-failure.ts";
import type { CallContext } from "./call-listener.ts";
import { type CallProgress, isStale, transportFailure } from "./transport-failure.ts";

/** A whole answer up to this is held until it is complete, so that a cut one can still be tried elsewhere. */
export const heldAnswerBytesMax = 1_048_576;
/** Refusals beyond this are no refusals. */
const refusalBytesMax = 65_536;
/** What may follow the end of a stream before the connection is given up. */
const trailerBytesMax = 65_536;
/** How long the rest of a finished answer is waited for, so that its connection can be used again. */
export const lingerMs = 2_000;

/** Idle connections that a request may find closed, one after the other. */
const sentAgainMax = 3;
/**
 * A close that was on its way before the request is told within one round trip, and what this process takes to notice;
 * later ones are the server's breaking.
 */
const staleMs = { backend: 250, peer: 500 } as const;

type Mode = "head" | "stream" | "whole" | "raw" | "refusal" | "discard";

export class UpstreamCall implements Dispatcher.DispatchHandler {
  readonly attempt: number;
  readonly candidate: Candidate;
  sleepsAt = -1;
  status = 0;
  headers: AnswerHeaders = {};
  tap: StreamTap | undefined;
  usage: { readonly inputTokens: number; readonly outputTokens: number } | undefined;
  /** What is kept of its answer until the client may have it: events of a stream, or bytes as they came. */
  held: ByteText = "";
  raw: Buffer | undefined;
  /** A whole answer, checked. */
  whole: ByteText | undefined;
  /** The end of a stream that is complete. */
  last: ByteText = "";
  readonly #context: CallContext;
  #controller: Dispatcher.DispatchController | undefined;
  #progress: CallProgress = "unsent";
  #mode: Mode = "head";
  #send: (() => void) | undefined;
  #sentAgain = 0;
  #sentAt: Instant = Number.NEGATIVE_INFINITY;
  /** Nothing more is told to the listener. */
  #silent = false;
  #released = false;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #lingerUntil: Instant = Number.POSITIVE_INFINITY;

  constructor(attempt: number, candidate: Candidate, context: CallContext) {
    this.attempt = attempt;
    this.candidate = candidate;
    this.#context = context;
  }

  /** Sends the request. `send` may be used again: see `onResponseError`. */
  start(send: () => void): void {
    this.#send = send;
    send();
  }

  /** Something of the request was on its way to the target. */
  get wasSent(): boolean {
    return this.#progress !== "unsent";
  }

  /** About the tokens of an answer that was too large to be read: its bytes / 4, where they are text. */
  rawTokens(): number {
    const isText = this.#mode === "raw" && this.#context.request.kind !== "embedding";
    return isText ? Math.ceil(this.#bytes / 4) : 0;
  }

  /** What is held, once. */
  takeHeld(): ByteText | Buffer {
    const held = this.raw ?? this.held;
    this.raw = undefined;
    this.held = "";
    return held;
  }

  takeWhole(): ByteText | undefined {
    const { whole } = this;
    this.whole = undefined;
    return whole;
  }

  /** Stops the call at once, whatever it is at. */
  cancel(): void {
    this.#silent = true;
    this.#send = undefined;
    this.#chunks = [];
    this.#controller?.abort(new Error("the call was cancelled"));
    this.#release();
  }

  /** Nothing more of the answer is of use; until then its connection may be waited for. false: it is free or gone already. */
  linger(until: Instant): boolean {
    if (!this.#released) this.#lingerUntil = until;
    return !this.#released;
  }

  wakeAt(): Instant {
    return this.#released ? Number.NEGATIVE_INFINITY : this.#lingerUntil;
  }

  /** The time to linger is over. */
  wake(): void {
    this.#controller?.abort(new Error("the connection did not become free"));
    this.#release();
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#silent) {
      controller.abort(new Error("the call was cancelled"));
      return;
    }
    this.#progress = "sent";
    this.#sentAt = this.#context.clock.now();
    this.#context.listener.onConnected(this);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (this.#silent || status < 200) return;
    this.#progress = "answering";
    // It holds the request's body.
    this.#send = undefined;
    this.status = status;
    this.headers = headers;
    this.#context.listener.onHeaders(this);
    this.#judgeHead(status, headers);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    switch (this.#mode) {
      case "stream":
        this.#stream(chunk);
        return;
      case "raw":
        if (this.#silent) return;
        this.#bytes += chunk.length;
        this.#context.listener.onRaw(this, chunk);
        return;
      case "whole":
      case "refusal":
        this.#hold(chunk);
        return;
      default:
        this.#bytes += chunk.length;
        if (this.#bytes > trailerBytesMax) this.#controller?.abort(new Error("too much follows"));
    }
  }

  onResponseEnd(): void {
    this.#endBody();
    this.#release();
  }

  /**
   * A server may close an idle connection just as the next request is sent on it: nobody has seen that request, and it goes
   * again on another connection (of several idle ones more may be as old). That is told from a server that breaks at its
   * work by what the connection had carried before, and by how soon it comes: a request that broke one server must not run
   * through it again, unseen and for nothing.
   */
  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    const send = this.#send;
    if (send !== undefined && this.#wasUnseen(error)) {
      this.#sentAgain += 1;
      this.#progress = "unsent";
      send();
      return;
    }
    this.#fail(transportFailure(this.#progress, error));
    this.#release();
  }

  #wasUnseen(error: Error): boolean {
    if (this.#silent || this.#progress !== "sent" || this.#sentAgain >= sentAgainMax) return false;
    const sinceMs = this.#context.clock.now() - this.#sentAt;
    return sinceMs <= staleMs[this.candidate.kind] && isStale(error);
  }

  #judgeHead(status: number, headers: AnswerHeaders): void {
    const verdict = judgeStatus(status, headers["retry-after"] !== undefined);
    switch (verdict) {
      case "answer":
        this.#openAnswer(headers);
        return;
      case "request-fault":
        this.#mode = "refusal";
        return;
      case "saturated":
      case "target-fault":
        this.#mode = "discard";
        this.#fail(statusFailure(status, headers, verdict, this.candidate.kind === "peer"));
    }
  }

  #openAnswer(headers: AnswerHeaders): void {
    const { protocol, request } = this.#context;
    const type = String(headers["content-type"] ?? "").toLowerCase();
    const isStream = type.startsWith("text/event-stream");
    if (request.stream && isStream) {
      this.#mode = "stream";
      this.tap = protocol.openStream(this.#streamOptions());
    } else if (!isStream && (type === "" || type.includes("json"))) {
      this.#mode = "whole";
    } else {
      this.#abandon(upstreamFailure("malformed", "the answer has an unexpected content type"));
    }
  }

  #streamOptions(): StreamOptions {
    const { request, keepsText, after, isRest } = this.#context;
    const { kind, model: clientModel, choices, includeUsage } = request;
    return { kind, clientModel, choices, includeUsage, keepsText, after, isRest };
  }

  #stream(chunk: Buffer): void {
    const tap = this.tap;
    if (this.#silent || tap === undefined) return;
    const text = tap.push(chunk.toString("latin1"));
    const { listener } = this.#context;
    if (tap.complete) {
      this.#endStream(text);
      return;
    }
    // What came whole before a fault is the client's all the same.
    listener.onStream(this, text);
    if (tap.fault !== undefined) this.#abandon(faultFailure(tap.fault));
  }

  #endStream(text: ByteText): void {
    this.#mode = "discard";
    this.#bytes = 0;
    this.usage = this.tap?.usage ?? this.usage;
    this.#silent = true;
    this.#context.listener.onStreamEnd(this, text);
  }

  #hold(chunk: Buffer): void {
    if (this.#silent) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#mode === "refusal" && this.#bytes > refusalBytesMax) {
      this.#abandon(upstreamFailure("malformed", "the refusal is too long"));
    } else if (this.#mode === "whole" && this.#bytes > heldAnswerBytesMax) {
      // A stream was asked for: one event as large as this is more than any client's reader takes.
      if (this.#context.request.stream) {
        this.#abandon(upstreamFailure("malformed", "the answer is no stream"));
        return;
      }
      this.#mode = "raw";
      const held = Buffer.concat(this.#chunks);
      this.#chunks = [];
      this.#context.listener.onRaw(this, held);
    }
  }

  #endBody(): void {
    if (this.#silent) return;
    switch (this.#mode) {
      case "stream":
        this.#endOfStreamBody();
        return;
      case "raw":
        this.#silent = true;
        this.#context.listener.onRawEnd(this);
        return;
      case "whole":
        this.#readAnswer();
        return;
      case "refusal":
        this.#readRefusal();
        return;
      default:
        this.#fail(upstreamFailure("malformed", "the answer has no body"));
    }
  }

  #endOfStreamBody(): void {
    const tap = this.tap;
    if (tap === undefined) return;
    const text = tap.end();
    if (tap.complete) {
      this.#endStream(text);
      return;
    }
    if (text !== "") this.#context.listener.onStream(this, text);
    this.#fail(faultFailure(tap.fault ?? { kind: "truncated", message: "the stream broke off" }));
  }

  #readAnswer(): void {
    const { protocol, request, listener } = this.#context;
    const reading = protocol.readAnswer(this.#takeHeld().toString("latin1"), {
      kind: request.kind,
      clientModel: request.model,
    });
    if (reading.kind === "fault") {
      this.#fail(faultFailure(reading.fault));
      return;
    }
    // Of a rest it is the rest's alone, and says nothing about the whole.
    if (this.#context.after === undefined) this.usage = reading.usage;
    if (request.stream) {
      this.#streamWhole(reading.body);
      return;
    }
    this.#silent = true;
    listener.onAnswer(this, reading.body);
  }

  /** Some servers answer a stream at once and whole: what the client gets is the stream that it asked for. */
  #streamWhole(body: ByteText): void {
    const { protocol } = this.#context;
    const tap = protocol.openStream(this.#streamOptions());
    this.tap = tap;
    // The tap takes out what the client did not ask for.
    const whole = protocol.streamOf(body, { ...this.#streamOptions(), includeUsage: true });
    const text = tap.push(whole);
    if (tap.complete) this.#endStream(text);
    else this.#fail(faultFailure(tap.fault ?? { kind: "malformed", message: "it is no stream" }));
  }

  #readRefusal(): void {
    const { protocol, listener } = this.#context;
    const body = this.#takeHeld();
    if (protocol.readRefusal(this.status, body.toString("latin1")) === "target") {
      const isPeer = this.candidate.kind === "peer";
      this.#fail(statusFailure(this.status, this.headers, "target-fault", isPeer));
      return;
    }
    this.#silent = true;
    listener.onRejected(this, body);
  }

  #takeHeld(): Buffer {
    const [only] = this.#chunks;
    const held =
      this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks);
    this.#chunks = [];
    return held;
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#silent) return;
    this.#silent = true;
    this.#chunks = [];
    this.#context.listener.onFailed(this, failure);
  }

  /** Fails and gives the connection up: what else would come is of no use. */
  #abandon(failure: UpstreamFailure): void {
    this.#fail(failure);
    this.#controller?.abort(new Error("the answer is of no use"));
  }

  #release(): void {
    this.#released = true;
    this.#context.listener.onReleased(this);
  }
}
