// One request from its first byte to its last: carries out what the attempt machine commands, and tells it what happens.
// The stages of the pipeline (pipeline.ts) fill it in; it decides nothing itself.

import type { IncomingMessage, ServerResponse } from "node:http";
import type {
  AttemptCommand,
  AttemptEvent,
  Attempts,
  CallRole,
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
import { OwnTime } from "./own-time.ts";
import { brokenError, clientError, exhaustedError } from "./refusals.ts";
import { UpstreamBodies } from "./upstream-bodies.ts";
import { answerHeaders, upstreamHeaders, upstreamPath } from "./wire-headers.ts";

/** What comes before the first token and is held: more than this is no prelude. */
const heldBytesMax = 262_144;

/** Where a request came from. */
export type Arrival = {
  readonly kind: RequestKind;
  /** The client's, when it gave one. */
  readonly requestId: string;
  /** Of this proxy's own making. */
  readonly decisionId: string;
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
  readonly timing = new OwnTime();
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
  /** Code of the refusal, or of the error that ended a stream. */
  errorCode: string | undefined;
  /** The call whose answer the client gets; before the commit the newest. */
  call: UpstreamCall | undefined;
  /** Two at most, while one hedges the other. */
  readonly #live: UpstreamCall[] = [];
  #bodies: UpstreamBodies | undefined;
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
    const { attempts, call, context } = this;
    if (call === undefined) return;
    const now = context.clock.now();
    this.committedAt = now;
    this.timing.stop(now);
    // Where nothing is tried again from here on, a large prompt need not live as long as its answer.
    if (attempts?.mayContinue() !== true) this.#forgetRequest();
    const headers = answerHeaders(this, call);
    if (call.whole !== undefined) {
      this.answer.send(call.status, headers, call.whole);
      call.whole = undefined;
      return;
    }
    this.answer.head(call.status, headers);
    const first = call.raw ?? call.held;
    call.raw = undefined;
    call.held = "";
    if (first.length > 0) this.#write(first);
  }

  /** Everything is recorded. The request is over once the client has its last byte, too. */
  leave(): void {
    this.#isSettled = true;
    this.#forgetRequest();
    if (this.#isClosed) this.context.settled();
  }

  /** The proxy ends before the answer does: the client is told so, as far as its protocol can. */
  stopNow(): void {
    const error = problem("draining", "", "the proxy stopped before the answer was complete");
    if (this.attempts?.committed() === true) {
      for (const call of this.#live.splice(0)) call.cancel();
      this.#breakOff(clientError("overloaded", [error]));
    } else {
      this.context.refuse(this, clientError("overloaded", [error]));
    }
  }

  /** What the request used, told or estimated; of an answer that went on elsewhere, both parts together. */
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
    const { tap } = call;
    if (this.#isHeard(call)) {
      if (text !== "") this.#write(text);
    } else {
      call.held += text;
      if (call.held.length > heldBytesMax) {
        call.cancel();
        this.onFailed(call, upstreamFailure("malformed", "too much comes before the first token"));
        return;
      }
    }
    const { attempt } = call;
    if (tap?.semantic !== true) this.#step({ kind: "activity", attempt });
    else this.#step({ kind: "token", attempt, continuable: tap.continuable });
  }

  onStreamEnd(call: UpstreamCall, text: ByteText): void {
    call.last = text;
    this.#lingerFor(call);
    call.resume();
    this.#step({ kind: "complete", attempt: call.attempt });
  }

  onRaw(call: UpstreamCall, chunk: Buffer): void {
    if (this.#isHeard(call)) this.#write(chunk);
    else call.raw = chunk;
    this.#step({ kind: "token", attempt: call.attempt, continuable: false });
  }

  onRawEnd(call: UpstreamCall): void {
    this.#step({ kind: "complete", attempt: call.attempt });
  }

  onAnswer(call: UpstreamCall, body: ByteText): void {
    call.whole = body;
    this.#step({ kind: "complete", attempt: call.attempt });
  }

  onRejected(call: UpstreamCall, body: Buffer): void {
    call.raw = body;
    this.#step({ kind: "rejected", attempt: call.attempt });
  }

  onFailed(call: UpstreamCall, failure: UpstreamFailure): void {
    this.#lingerFor(call);
    if (!this.#isHeard(call)) call.held = "";
    this.#step({ kind: "failed", attempt: call.attempt, failure });
  }

  onReleased(call: UpstreamCall): void {
    this.context.deadlines.unwatch(call);
  }

  /** What is left of an answer that is of no more use is waited for a while, so that its connection may be used again. */
  #lingerFor(call: UpstreamCall): void {
    if (call.linger(this.context.clock.now() + lingerMs)) this.context.deadlines.watch(call);
  }

  /** The client reads this call's answer. */
  #isHeard(call: UpstreamCall): boolean {
    return call === this.call && this.answer.started;
  }

  #step(event: AttemptEvent): void {
    const { attempts, context } = this;
    if (attempts === undefined) return;
    const now = context.clock.now();
    const commands = attempts.step(event, now);
    if (commands.length === 0) return;
    if (!this.answer.started) this.timing.run(now);
    for (const command of commands) this.#carryOut(command);
    if (!this.answer.started) this.timing.wait(context.clock.now());
  }

  #carryOut(command: AttemptCommand): void {
    switch (command.kind) {
      case "call":
        this.#call(command.attempt, command.choice, command.role);
        return;
      case "cancel":
        this.#take(command.attempt)?.cancel();
        return;
      case "commit":
        this.call = this.#find(command.attempt) ?? this.call;
        this.context.resume(this, "relay");
        return;
      case "splice":
        this.#splice(command.attempt);
        return;
      case "finish":
        this.#finish(command.ending);
        return;
      default:
        assertNever(command);
    }
  }

  #call(attempt: number, choice: Choice, role: CallRole): void {
    const { attempts, context, decoded, facts } = this;
    if (decoded === undefined || facts === undefined) return;
    const { candidate } = choice;
    const after = role === "continuation" ? this.call?.tap : undefined;
    const call = new UpstreamCall(attempt, candidate, {
      protocol: context.protocol,
      request: decoded,
      listener: this,
      keepsText: attempts?.mayContinue() === true && facts.continuable,
      after,
      isRest: facts.isContinuation,
    });
    this.#live.push(call);
    if (role !== "continuation") this.call = call;
    const isContinuation = after !== undefined || facts.isContinuation;
    this.#bodies ??= new UpstreamBodies(context.protocol, this.body ?? Buffer.alloc(0), this.text);
    const request = {
      path: upstreamPath(decoded.kind),
      method: "POST",
      headers: upstreamHeaders(this, candidate, isContinuation),
      body: this.#bodies.for(decoded, {
        model: candidate.upstreamModel,
        continues: after?.partial(),
        assistantPrefix: isContinuation ? candidate.assistantPrefix : "none",
      }),
    } as const;
    const pool = context.upstreams.pool(candidate);
    call.start(() => pool.dispatch(request, call));
  }

  /** The stream goes on with another call: the client sees a comment, and then what was said there so far. */
  #splice(attempt: number): void {
    const call = this.#find(attempt);
    const failure = this.attempts?.records().find((each) => each.failure !== undefined)?.failure;
    if (call === undefined) return;
    this.call = call;
    const { kind, name, region } = call.candidate;
    const where = kind === "peer" ? region : name;
    const note = `meridian: continued on ${where} after ${failure?.kind ?? "a failure"}`;
    this.#write(this.context.protocol.renderSeam(note) + call.held);
    call.held = "";
  }

  #find(attempt: number): UpstreamCall | undefined {
    return this.#live.find((each) => each.attempt === attempt);
  }

  #take(attempt: number): UpstreamCall | undefined {
    const place = this.#live.findIndex((each) => each.attempt === attempt);
    return place < 0 ? undefined : this.#live.splice(place, 1)[0];
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
        if (!this.answer.gone) this.answer.end(this.call?.last ?? "");
        break;
      case "rejected":
        this.call = this.#find(ending.attempt) ?? this.call;
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
    this.#live.length = 0;
    this.context.resume(this, "settle");
  }

  #sendRejection(): void {
    const { call } = this;
    if (call === undefined) return;
    this.timing.stop(this.context.clock.now());
    this.answer.send(call.status, answerHeaders(this, call), call.raw ?? Buffer.alloc(0));
  }

  /** A stream has a frame for errors; any other answer can only be cut. */
  #breakOff(error: ClientError): void {
    this.errorCode = error.problems[0]?.code;
    const isStream = this.call?.tap !== undefined;
    this.answer.breakOff(isStream ? this.context.protocol.renderStreamError(error) : "");
  }

  #tried(): readonly string[] {
    return (this.attempts?.records() ?? []).map(
      (each) => `${each.candidate.region}/${each.failure?.kind ?? each.outcome}`,
    );
  }

  #forgetRequest(): void {
    this.body = undefined;
    this.text = "";
    this.#bodies = undefined;
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
