// One request from its first byte to its last: carries out what the attempt machine commands, and tells it what happens.
// The stages of the pipeline (pipeline.ts) fill it in; it decides nothing itself.

import type { IncomingMessage, ServerResponse } from "node:http";
import type {
  AttemptCommand,
  AttemptEvent,
  AttemptRecord,
  Attempts,
  CallRole,
  Choice,
  Ending,
  RefusalCause,
  UpstreamFailure,
} from "@meridian/data-core/attempt";
import { upstreamFailure } from "@meridian/data-core/attempt";
import type { RequestFacts } from "@meridian/data-core/engine";
import { assertNever, type Instant, problem } from "@meridian/proto/base";
import type { ByteText, ClientError, DecodedRequest } from "@meridian/wire";
import type { CallListener } from "../upstream/call-listener.ts";
import { releasedBody } from "../upstream/released-body.ts";
import { lingerMs, UpstreamCall } from "../upstream/upstream-call.ts";
import type { Arrival } from "./arrival.ts";
import { ClientAnswer } from "./client-answer.ts";
import type { ServerContext } from "./context.ts";
import { LiveCalls } from "./live-calls.ts";
import { OwnTime } from "./own-time.ts";
import { brokenError, clientError, exhaustedError } from "./refusals.ts";
import { UpstreamBodies } from "./upstream-bodies.ts";
import { answerHeaders, seamNote, upstreamHeaders, upstreamPath } from "./wire-headers.ts";

/** What comes before the first token and is held: more than this is no prelude. */
const heldBytesMax = 262_144;

const stopped = problem("draining", "", "the proxy stopped before the answer was complete");

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
  /** Of a request from abroad that was refused for it: how long it would have waited. */
  queueMs: number | undefined;
  /** The model that a copy of it went to; "": to none. */
  shadow = "";
  /** Code of the refusal, or of the error that ended a stream. */
  errorCode: string | undefined;
  /** The call whose answer the client gets; before the commit the newest. */
  call: UpstreamCall | undefined;
  /** Two at most, while one hedges the other. */
  readonly #live = new LiveCalls();
  #bodies: UpstreamBodies | undefined;
  /** It is the proxy that leaves. */
  #isStopped = false;
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

  /** There may be a place for it now. */
  room(): void {
    this.#step({ kind: "room" });
  }

  /** Sends the head and what is held of the committed call. */
  relay(): void {
    const { attempts, call } = this;
    if (call === undefined) return;
    const now = this.context.clock.now();
    this.committedAt = now;
    this.timing.stop(now);
    // Where nothing is tried again from here on, a large prompt need not live as long as its answer.
    if (attempts?.mayContinue() !== true) this.#forgetRequest();
    const headers = answerHeaders(this, call);
    const whole = call.takeWhole();
    if (whole !== undefined) {
      this.answer.send(call.status, headers, whole);
      return;
    }
    this.answer.head(call.status, headers);
    const first = call.takeHeld();
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
    this.#isStopped = true;
    this.#step({ kind: "client-gone" });
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
    this.#live.take(call.attempt);
    if (!this.#isHeard(call)) call.takeHeld();
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
    if (commands.length > 0) this.#carryOutAll(commands, now);
    // Whatever happened may have freed a place for somebody else.
    context.held.wake();
  }

  #carryOutAll(commands: readonly AttemptCommand[], now: Instant): void {
    if (!this.answer.started) this.timing.run(now);
    for (const command of commands) this.#carryOut(command);
    if (this.answer.started) return;
    const isHeld = commands[0]?.kind === "hold";
    this.timing.wait(this.context.clock.now(), isHeld ? "queue" : "upstream");
  }

  #carryOut(command: AttemptCommand): void {
    switch (command.kind) {
      case "call":
        this.#call(command.attempt, command.choice, command.role);
        return;
      case "hold":
        if (this.attempts !== undefined) this.context.held.add(this.attempts, this);
        return;
      case "cancel":
        this.#live.take(command.attempt)?.cancel();
        return;
      case "commit":
        this.call = this.#live.find(command.attempt) ?? this.call;
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
      clock: context.clock,
      keepsText: attempts?.mayContinue() === true && facts.continuable,
      after,
      isRest: facts.isContinuation,
    });
    this.#live.add(call);
    if (role !== "continuation") this.call = call;
    const isContinuation = after !== undefined || facts.isContinuation;
    this.#bodies ??= new UpstreamBodies(context.protocol, this.body ?? Buffer.alloc(0), this.text);
    const body = this.#bodies.for(decoded, {
      model: candidate.upstreamModel,
      continues: after?.partial(),
      assistantPrefix: isContinuation ? candidate.assistantPrefix : "none",
    });
    const headers = upstreamHeaders(this, choice, isContinuation);
    headers.push("content-length", String(body.length));
    const path = upstreamPath(decoded.kind);
    const pool = context.upstreams.pool(candidate);
    call.start(() => {
      const sent = decoded.stream ? releasedBody(body) : body;
      pool.dispatch({ path, method: "POST", headers, body: sent }, call);
    });
  }

  /** The stream goes on with another call: the client sees a comment, and then what was said there so far. */
  #splice(attempt: number): void {
    const call = this.#live.find(attempt);
    if (call === undefined) return;
    const note = seamNote(call, this.#recordOf(this.call)?.failure);
    this.call = call;
    this.#write(this.context.protocol.renderSeam(note) + call.takeHeld());
  }

  #recordOf(call: UpstreamCall | undefined): AttemptRecord | undefined {
    return this.attempts?.records().find((each) => each.attempt === call?.attempt);
  }

  #write(chunk: ByteText | Buffer): void {
    const { call } = this;
    if (this.answer.write(chunk) || call === undefined) return;
    call.pause();
    this.#step({ kind: "paused", attempt: call.attempt });
  }

  #finish(given: Ending): void {
    const ending = this.#isStopped ? this.#stoppedEnding() : given;
    this.ending = ending;
    switch (ending.kind) {
      case "complete":
        if (!this.answer.gone) this.answer.end(this.call?.last ?? "");
        break;
      case "rejected":
        this.call = this.#live.find(ending.attempt) ?? this.call;
        this.#sendRejection();
        break;
      case "refused":
        this.context.refuse(this, this.#refusal(ending.cause));
        break;
      case "broken":
        this.#breakOff(brokenError(ending.failure));
        break;
      case "client-gone":
        break;
      default:
        assertNever(ending);
    }
    this.#live.clear();
    this.context.resume(this, "settle");
  }

  /** Of a request that the proxy left, not its client. */
  #stoppedEnding(): Ending {
    const { message } = stopped;
    if (this.answer.started) {
      const failure = upstreamFailure("reset", message);
      return { kind: "broken", attempt: this.call?.attempt ?? 0, failure };
    }
    const cause = { last: undefined, reason: message, retryAfterMs: undefined };
    return { kind: "refused", cause };
  }

  #refusal(cause: RefusalCause): ClientError {
    if (this.#isStopped) return clientError("overloaded", [stopped]);
    return exhaustedError(cause, this.attempts?.records() ?? []);
  }

  #sendRejection(): void {
    const { call } = this;
    if (call === undefined) return;
    this.timing.stop(this.context.clock.now());
    this.answer.send(call.status, answerHeaders(this, call), call.takeHeld());
  }

  /** A stream has a frame for errors; any other answer can only be cut. */
  #breakOff(error: ClientError): void {
    this.errorCode = error.problems[0]?.code;
    const isStream = this.call?.tap !== undefined;
    this.answer.breakOff(isStream ? this.context.protocol.renderStreamError(error) : "");
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
