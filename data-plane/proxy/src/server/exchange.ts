// One request from its first byte to its last: carries out what the attempt machine commands, and tells it what happens.
// The stages of the pipeline (pipeline.ts) fill it in; it decides nothing itself.

import type { IncomingMessage, ServerResponse } from "node:http";
import type {
  AttemptCommand,
  AttemptEvent,
  Attempts,
  Choice,
  Ending,
  UpstreamFailure,
} from "@meridian/data-core/attempt";
import { upstreamFailure } from "@meridian/data-core/attempt";
import type { RequestFacts, RequestKind, Usage } from "@meridian/data-core/engine";
import { assertNever, type Instant, problem } from "@meridian/proto/base";
import type { ByteText, ClientError, DecodedRequest } from "@meridian/wire";
import { type CallListener, lingerMs, UpstreamCall } from "../upstream/upstream-call.ts";
import { ClientAnswer } from "./client-answer.ts";
import type { ServerContext } from "./context.ts";
import { brokenError, clientError, exhaustedError } from "./refusals.ts";
import { answerHeaders, upstreamHeaders, upstreamPath } from "./wire-headers.ts";

/** What comes before the first token and is held: more than this is no prelude. */
const heldBytesMax = 262_144;

/** Where a request came from. */
export type Arrival = {
  readonly kind: RequestKind;
  readonly requestId: string;
  /** Region of the proxy that sent it on; undefined: a client. */
  readonly arrivedFrom: string | undefined;
  /** A label for metrics. */
  readonly path: string;
};

export class Exchange implements CallListener {
  readonly context: ServerContext;
  readonly request: IncomingMessage;
  readonly arrival: Arrival;
  readonly startedAt: Instant;
  readonly answer: ClientAnswer;
  sleepsAt = -1;
  /** Index of the stage that runs next. */
  stage = 0;
  body: Buffer | undefined;
  tenant = "";
  route = "";
  /** The policy's name of the first target's model. */
  model = "unknown";
  text: ByteText = "";
  decoded: DecodedRequest | undefined;
  facts: RequestFacts | undefined;
  attempts: Attempts | undefined;
  ending: Ending | undefined;
  committedAt: Instant | undefined;
  /** The call whose answer the client gets. */
  call: UpstreamCall | undefined;
  #held: ByteText = "";
  #whole: ByteText | undefined;
  #raw: Buffer | undefined;
  #last: ByteText = "";
  #isClosed = false;
  #isSettled = false;

  constructor(
    context: ServerContext,
    arrival: Arrival,
    http: { readonly request: IncomingMessage; readonly response: ServerResponse },
  ) {
    this.context = context;
    this.arrival = arrival;
    this.request = http.request;
    this.startedAt = context.clock.now();
    this.answer = new ClientAnswer(http.response, () => this.#flowsAgain());
    http.response.on("close", () => this.#closed());
  }

  /** Starts the attempts of a planned request. */
  start(): void {
    this.context.deadlines.watch(this);
    this.#step({ kind: "start" });
  }

  wakeAt(): Instant {
    return this.attempts?.wakeAt() ?? Number.POSITIVE_INFINITY;
  }

  wake(): void {
    this.#step({ kind: "tick" });
  }

  /** Sends the head and what is held of the committed call. */
  relay(): void {
    const { call, context } = this;
    if (call === undefined) return;
    this.committedAt = context.clock.now();
    // Nothing is tried again from here on: a large prompt need not live as long as its answer.
    this.body = undefined;
    this.text = "";
    const headers = answerHeaders(this, call);
    if (this.#whole !== undefined) {
      this.answer.send(call.status, headers, this.#whole);
      this.#whole = undefined;
      return;
    }
    this.answer.head(call.status, headers);
    const first = this.#raw ?? this.#held;
    this.#raw = undefined;
    this.#held = "";
    if (first.length > 0) this.#write(first);
  }

  /** Everything is recorded. The request is over once the client has its last byte, too. */
  leave(): void {
    this.#isSettled = true;
    if (this.#isClosed) this.context.settled();
  }

  /** The proxy ends before the answer does: the client is told so, as far as its protocol can. */
  stopNow(): void {
    const error = problem("draining", "", "the proxy stopped before the answer was complete");
    if (this.attempts?.committed() === true) {
      this.call?.cancel();
      this.#breakOff(clientError("overloaded", [error]));
    } else {
      this.context.refuse(this, clientError("overloaded", [error]));
    }
  }

  /** What the request used, told or estimated. */
  usage(): Usage {
    const told = this.call?.usage ?? this.call?.tap?.usage;
    if (told !== undefined) return { ...told, exact: true };
    const inputTokens = this.facts?.inputTokens ?? 0;
    return { inputTokens, outputTokens: this.call?.tap?.contentEvents ?? 0, exact: false };
  }

  onConnected(call: UpstreamCall): void {
    this.#step({ kind: "connected", attempt: call.attempt });
  }

  onHeaders(call: UpstreamCall): void {
    this.#step({ kind: "headers", attempt: call.attempt });
  }

  onStream(call: UpstreamCall, text: ByteText): void {
    const committed = this.attempts?.committed() === true;
    if (committed) {
      if (text !== "") this.#write(text);
    } else {
      this.#held += text;
      if (this.#held.length > heldBytesMax) {
        call.cancel();
        this.onFailed(call, upstreamFailure("malformed", "too much comes before the first token"));
        return;
      }
    }
    const kind = call.tap?.semantic === true ? "token" : "activity";
    if (kind === "token") this.#step({ kind, attempt: call.attempt, continuable: false });
    else this.#step({ kind, attempt: call.attempt });
  }

  onStreamEnd(call: UpstreamCall, text: ByteText): void {
    this.#last = text;
    this.#lingerFor(call);
    call.resume();
    this.#step({ kind: "complete", attempt: call.attempt });
  }

  /** What is left of an answer that is of no more use is waited for a while, so that its connection may be used again. */
  #lingerFor(call: UpstreamCall): void {
    if (call.linger(this.context.clock.now() + lingerMs)) this.context.deadlines.watch(call);
  }

  onRaw(call: UpstreamCall, chunk: Buffer): void {
    if (this.attempts?.committed() === true) this.#write(chunk);
    else this.#raw = chunk;
    this.#step({ kind: "token", attempt: call.attempt, continuable: false });
  }

  onRawEnd(call: UpstreamCall): void {
    this.#step({ kind: "complete", attempt: call.attempt });
  }

  onAnswer(call: UpstreamCall, body: ByteText): void {
    this.#whole = body;
    this.#step({ kind: "complete", attempt: call.attempt });
  }

  onRejected(call: UpstreamCall, body: Buffer): void {
    this.#raw = body;
    this.#step({ kind: "rejected", attempt: call.attempt });
  }

  onFailed(call: UpstreamCall, failure: UpstreamFailure): void {
    this.#lingerFor(call);
    this.#step({ kind: "failed", attempt: call.attempt, failure });
  }

  onReleased(call: UpstreamCall): void {
    this.context.deadlines.unwatch(call);
  }

  #step(event: AttemptEvent): void {
    const { attempts, context } = this;
    if (attempts === undefined) return;
    for (const command of attempts.step(event, context.clock.now())) this.#carryOut(command);
  }

  #carryOut(command: AttemptCommand): void {
    switch (command.kind) {
      case "call":
        this.#call(command.attempt, command.choice);
        return;
      case "cancel":
        if (this.call?.attempt === command.attempt) this.call.cancel();
        return;
      case "commit":
      case "splice":
        this.context.resume(this, "relay");
        return;
      case "finish":
        this.#finish(command.ending);
        return;
      default:
        assertNever(command);
    }
  }

  #call(attempt: number, choice: Choice): void {
    const { context, decoded } = this;
    if (decoded === undefined) return;
    const { candidate } = choice;
    this.#held = "";
    const call = new UpstreamCall(attempt, candidate, {
      protocol: context.protocol,
      request: decoded,
      listener: this,
    });
    this.call = call;
    context.upstreams.pool(candidate).dispatch(
      {
        path: upstreamPath(decoded.kind),
        method: "POST",
        headers: upstreamHeaders(this, candidate),
        body: this.#bodyFor(candidate.upstreamModel),
      },
      call,
    );
  }

  #bodyFor(model: string | undefined): Buffer {
    const { decoded, body } = this;
    if (model === undefined || decoded === undefined || decoded.model === model) {
      return body ?? Buffer.alloc(0);
    }
    const options = { model, continues: undefined, assistantPrefix: "none" } as const;
    return Buffer.from(this.context.protocol.upstreamBody(this.text, decoded, options), "latin1");
  }

  #write(chunk: ByteText | Buffer): void {
    const { call } = this;
    if (this.answer.write(chunk) || call === undefined) return;
    call.pause();
    this.#step({ kind: "paused", attempt: call.attempt });
  }

  #finish(ending: Ending): void {
    this.ending = ending;
    switch (ending.kind) {
      case "complete":
        if (!this.answer.gone) this.answer.end(this.#last);
        break;
      case "rejected":
        this.#sendRejection();
        break;
      case "refused":
        this.context.refuse(this, exhaustedError(ending.cause, this.#tried()));
        break;
      case "broken":
        this.#breakOff(brokenError(ending.failure));
        break;
      case "client-gone":
        break;
      default:
        assertNever(ending);
    }
    this.context.resume(this, "settle");
  }

  #sendRejection(): void {
    const { call } = this;
    if (call === undefined) return;
    this.answer.send(call.status, answerHeaders(this, call), this.#raw ?? Buffer.alloc(0));
  }

  /** A stream has a frame for errors; any other answer can only be cut. */
  #breakOff(error: ClientError): void {
    const isStream = this.call?.tap !== undefined;
    this.answer.breakOff(isStream ? this.context.protocol.renderStreamError(error) : "");
  }

  #tried(): readonly string[] {
    return (this.attempts?.records() ?? []).map(
      (each) => `${each.candidate.region}/${each.failure?.kind ?? each.outcome}`,
    );
  }

  /** A slow client has taken what was written. */
  #flowsAgain(): void {
    const { call } = this;
    if (call === undefined) return;
    this.#step({ kind: "resumed", attempt: call.attempt });
    call.resume();
  }

  /** The connection is gone. If the request was not at its end, the client left. */
  #closed(): void {
    this.#isClosed = true;
    if (this.#isSettled) this.context.settled();
    else if (this.attempts !== undefined && !this.attempts.finished())
      this.#step({ kind: "client-gone" });
  }
}
