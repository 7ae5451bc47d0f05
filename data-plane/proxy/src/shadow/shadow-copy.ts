// One copy of a request at a model that is tried out: its answer is read, counted and thrown away. It goes on when the
// client of the request itself leaves, as what is compared are whole answers.

import type {
  AttemptCommand,
  AttemptEvent,
  Attempts,
  Candidate,
  Ending,
  UpstreamFailure,
} from "@meridian/data-core/attempt";
import type { Usage } from "@meridian/data-core/engine";
import { assertNever, type Clock, type Instant } from "@meridian/proto/base";
import type { ByteText, ClientProtocol, DecodedRequest } from "@meridian/wire";
import type { HeaderList } from "../server/client-answer.ts";
import type { FinishedShadow } from "../server/data-server-options.ts";
import type { Deadlines, Sleeper } from "../server/deadlines.ts";
import { upstreamPath } from "../server/wire-headers.ts";
import type { CallListener } from "../upstream/call-listener.ts";
import { releasedBody } from "../upstream/released-body.ts";
import { lingerMs, UpstreamCall } from "../upstream/upstream-call.ts";
import type { Upstreams } from "../upstream/upstreams.ts";

/** An answer beyond this is not read on. */
const answerBytesMax = 4_194_304;

export type ShadowParts = {
  readonly clock: Clock;
  readonly protocol: ClientProtocol;
  readonly upstreams: Upstreams;
  readonly deadlines: Deadlines;
  /** A call has ended: somebody may have a place now. */
  readonly freed: () => void;
};

/** What is copied. */
export type CopiedRequest = {
  readonly requestId: string;
  readonly decoded: DecodedRequest;
  readonly text: ByteText;
};

export type ShadowEnd = Pick<FinishedShadow, "outcome" | "firstTokenMs"> & {
  /** As the model server told it, else estimated. */
  readonly usage: Usage;
};

export class ShadowCopy implements CallListener, Sleeper {
  sleepsAt = -1;
  readonly #parts: ShadowParts;
  readonly #attempts: Attempts;
  readonly #ended: (end: ShadowEnd) => void;
  readonly #inputTokens: number;
  #request: CopiedRequest | undefined;
  #call: UpstreamCall | undefined;
  #bytes = 0;
  #isOver = false;

  constructor(
    parts: ShadowParts,
    { attempts, request }: { readonly attempts: Attempts; readonly request: CopiedRequest },
    ended: (end: ShadowEnd) => void,
  ) {
    this.#parts = parts;
    this.#attempts = attempts;
    this.#request = request;
    this.#inputTokens = request.decoded.inputTokens;
    this.#ended = ended;
  }

  start(): void {
    if (this.#isOver) return;
    this.#parts.deadlines.watch(this);
    this.#step({ kind: "start" });
  }

  /** Ends it at once; that says nothing about its model server. */
  cut(): void {
    if (this.#isOver) return;
    if (this.#call === undefined) this.#end("cut");
    else this.#step({ kind: "client-gone" });
  }

  wakeAt(): Instant {
    return this.#attempts.wakeAt();
  }

  wake(): void {
    this.#step({ kind: "tick" });
  }

  stopNow(): void {
    this.cut();
  }

  onConnected({ attempt }: UpstreamCall): void {
    this.#step({ kind: "connected", attempt });
  }

  onHeaders({ attempt }: UpstreamCall): void {
    this.#step({ kind: "headers", attempt });
  }

  onStream({ attempt, tap }: UpstreamCall, text: ByteText): void {
    const isToken = tap?.semantic === true;
    this.#step(
      isToken ? { kind: "token", attempt, continuable: false } : { kind: "activity", attempt },
    );
    this.#read(text.length);
  }

  onStreamEnd(call: UpstreamCall): void {
    this.#lingerFor(call);
    this.#step({ kind: "complete", attempt: call.attempt });
  }

  onRaw({ attempt }: UpstreamCall, chunk: Buffer): void {
    this.#step({ kind: "token", attempt, continuable: false });
    this.#read(chunk.length);
  }

  onRawEnd({ attempt }: UpstreamCall): void {
    this.#step({ kind: "complete", attempt });
  }

  onAnswer({ attempt }: UpstreamCall): void {
    this.#step({ kind: "complete", attempt });
  }

  onRejected({ attempt }: UpstreamCall): void {
    this.#step({ kind: "rejected", attempt });
  }

  onFailed(call: UpstreamCall, failure: UpstreamFailure): void {
    this.#lingerFor(call);
    this.#step({ kind: "failed", attempt: call.attempt, failure });
  }

  onReleased(call: UpstreamCall): void {
    this.#parts.deadlines.unwatch(call);
  }

  #lingerFor(call: UpstreamCall): void {
    const { clock, deadlines } = this.#parts;
    if (call.linger(clock.now() + lingerMs)) deadlines.watch(call);
  }

  #read(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > answerBytesMax) this.cut();
  }

  #step(event: AttemptEvent): void {
    if (this.#isOver) return;
    const commands = this.#attempts.step(event, this.#parts.clock.now());
    for (const command of commands) this.#carryOut(command);
    if (commands.length > 0) this.#parts.freed();
  }

  #carryOut(command: AttemptCommand): void {
    switch (command.kind) {
      case "call":
        this.#send(command.attempt, command.choice.candidate);
        return;
      case "cancel":
        this.#call?.cancel();
        return;
      case "finish":
        this.#end(outcomes[command.ending.kind]);
        return;
      // Nobody is told anything, and a copy neither waits nor goes on elsewhere.
      case "commit":
      case "hold":
      case "splice":
        return;
      default:
        assertNever(command);
    }
  }

  #send(attempt: number, candidate: Candidate): void {
    const request = this.#request;
    // One call is all there is: its text need not live as long as its answer.
    this.#request = undefined;
    if (request === undefined) return;
    const { clock, protocol, upstreams } = this.#parts;
    const { decoded, requestId, text } = request;
    const context = { protocol, request: decoded, listener: this, clock };
    const call = new UpstreamCall(attempt, candidate, {
      ...context,
      keepsText: false,
      after: undefined,
      isRest: false,
    });
    this.#call = call;
    const model = candidate.upstreamModel;
    const as = { model, continues: undefined, assistantPrefix: "none" } as const;
    const body = Buffer.from(protocol.upstreamBody(text, decoded, as), "latin1");
    const headers = headersFor(decoded, requestId, body.length);
    const path = upstreamPath(decoded.kind);
    const pool = upstreams.pool(candidate);
    call.start(() => {
      pool.dispatch({ path, method: "POST", headers, body: releasedBody(body) }, call);
    });
  }

  #usage(): Usage {
    const call = this.#call;
    const told = call?.usage ?? call?.tap?.usage;
    if (told !== undefined) return { ...told, exact: true };
    const outputTokens = call?.tap?.contentEvents ?? call?.rawTokens() ?? 0;
    return { inputTokens: this.#inputTokens, outputTokens, exact: false };
  }

  #end(outcome: ShadowEnd["outcome"]): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#request = undefined;
    this.#parts.deadlines.unwatch(this);
    this.#ended({ outcome, firstTokenMs: firstTokenMs(this.#attempts), usage: this.#usage() });
  }
}

const outcomes: { readonly [K in Ending["kind"]]: ShadowEnd["outcome"] } = {
  complete: "complete",
  rejected: "rejected",
  refused: "failed",
  broken: "failed",
  "client-gone": "cut",
};

/** Of a whole answer, which comes at once, until its end. */
function firstTokenMs(attempts: Attempts): number | undefined {
  const [call] = attempts.records();
  if (call === undefined || (call.outcome !== "complete" && call.firstTokenAt === undefined)) {
    return undefined;
  }
  const at = call.firstTokenAt ?? call.endedAt;
  return at === undefined ? undefined : at - call.startedAt;
}

function headersFor({ stream }: DecodedRequest, requestId: string, bytes: number): HeaderList {
  return [
    "content-type",
    "application/json",
    "accept",
    stream ? "text/event-stream" : "application/json",
    "accept-encoding",
    "identity",
    "x-request-id",
    requestId,
    "x-meridian-shadow",
    "1",
    "content-length",
    String(bytes),
  ];
}
