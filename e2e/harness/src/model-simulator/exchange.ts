// One request to generate, from its parsed body to the end of its response, with the fault that meets it.

import type { ServerResponse } from "node:http";
import { type Answer, answerTo } from "./answer.ts";
import type { Fault } from "./faults.ts";
import type { ModelRunner } from "./model-runner.ts";
import { countTokens, prefixBlocks } from "./prefix-cache.ts";
import type { SeenRequest } from "./request-log.ts";
import type { Emission } from "./scheduler.ts";
import type { Failure, Finish, Generation, Reply, Surface, Usage } from "./surface.ts";

/** A request without a limit, or with a greater one, ends here. */
const tokensMax = 16_384;

export type ExchangeOptions = {
  readonly response: ServerResponse;
  readonly surface: Surface;
  readonly generation: Generation;
  readonly runner: ModelRunner;
  readonly fault: Fault | undefined;
  readonly seen: SeenRequest;
  readonly id: string;
};

/** Starts the exchange; it owns the response until its end. */
export function runExchange(options: ExchangeOptions): void {
  new Exchange(options).start();
}

class Exchange {
  readonly #options: ExchangeOptions;
  readonly #reply: Reply;
  readonly #answer: Answer;
  readonly #finish: Finish;
  readonly #outputTokens: number;
  #job: number | undefined;
  #cachedTokens = 0;
  #text = "";
  #over = false;

  constructor(options: ExchangeOptions) {
    const { generation, id } = options;
    this.#options = options;
    this.#answer = answerTo(generation.model, generation.prompt);
    const limit = Math.min(generation.maxTokens ?? tokensMax, tokensMax);
    const natural = generation.ignoreStop ? limit : this.#answer.naturalTokens;
    this.#outputTokens = Math.min(limit, natural);
    this.#finish = this.#outputTokens === this.#answer.naturalTokens ? "stop" : "length";
    this.#reply = {
      id,
      model: generation.model,
      createdSeconds: Math.floor(Date.now() / 1_000),
      usageInStream: generation.usageInStream,
      promptTokens: countTokens(generation.prompt),
    };
  }

  start(): void {
    const { generation, runner, fault, response, surface } = this.#options;
    const listener = (event: Emission) => this.#take(event);
    this.#job = runner.submit(
      {
        blocks: prefixBlocks(generation.prompt),
        promptTokens: this.#reply.promptTokens,
        outputTokens: this.#outputTokens,
        slowness: fault?.kind === "slow" ? fault.factor : 1,
      },
      listener,
    );
    if (this.#job === undefined) {
      this.#over = true;
      refuse(this.#options, { status: 503, message: "the queue is full", code: "overloaded" }, 1);
      return;
    }
    response.on("close", () => this.#closed());
    if (!generation.stream) return;
    this.#options.seen.status = 200;
    response.writeHead(200, { "content-type": surface.streamType, "cache-control": "no-cache" });
    response.flushHeaders();
  }

  #take(event: Emission): void {
    if (this.#over) return;
    if (event.kind === "started") this.#cachedTokens = event.cachedTokens;
    else if (event.kind === "token") this.#token(event.index);
    else this.#done();
  }

  #token(index: number): void {
    const { fault, seen, generation, surface, response } = this.#options;
    if (fault !== undefined && "token" in fault && fault.token === index) {
      this.#spoil(fault);
      return;
    }
    const text = this.#answer.token(index);
    seen.tokens = index + 1;
    if (!generation.stream) {
      this.#text += text;
      return;
    }
    const begin = index === 0 ? surface.begin(this.#reply) : "";
    response.write(begin + surface.token(this.#reply, text));
  }

  #done(): void {
    const { fault, seen, generation, surface, response, runner } = this.#options;
    if (fault !== undefined && "token" in fault) {
      // The answer was shorter than the fault's place: the fault takes the end's place.
      this.#spoil(fault);
      return;
    }
    this.#over = true;
    seen.outcome = fault === undefined ? "completed" : `fault:${fault.kind}`;
    runner.finished[this.#finish] += 1;
    const usage: Usage = {
      promptTokens: this.#reply.promptTokens,
      completionTokens: this.#outputTokens,
      cachedTokens: this.#cachedTokens,
    };
    if (generation.stream) response.end(surface.end(this.#reply, this.#finish, usage));
    else {
      seen.status = 200;
      sendJson(response, 200, surface.whole(this.#reply, this.#text, this.#finish, usage));
    }
  }

  #spoil(fault: Fault & { readonly token: number }): void {
    const { surface, response, seen, generation } = this.#options;
    this.#stop(`fault:${fault.kind}`);
    const broken = generation.stream ? surface.brokenFrame : '{"id":"broken","choi';
    switch (fault.kind) {
      case "reset-at-token":
        if (!generation.stream) response.write(broken);
        // What was written must leave before the connection does.
        setImmediate(() => response.socket?.resetAndDestroy());
        return;
      case "end-at-token":
        response.end(generation.stream ? "" : broken);
        return;
      case "stall-at-token":
        return;
      case "error-at-token":
        if (generation.stream) response.end(surface.errorFrame("a simulated failure"));
        else refuse(this.#options, simulated(500));
        return;
      case "malformed-at-token":
        seen.status ??= 200;
        response.end(broken);
    }
  }

  #closed(): void {
    if (!this.#over) this.#stop("aborted");
  }

  #stop(outcome: string): void {
    this.#over = true;
    this.#options.seen.outcome = outcome;
    if (this.#job !== undefined) this.#options.runner.cancel(this.#job);
  }
}

type Refusable = {
  readonly response: ServerResponse;
  readonly surface: Pick<Surface, "error">;
  readonly seen: SeenRequest;
};

/** Answers an error in the surface's own shape. */
export function refuse(to: Refusable, failure: Failure, retryAfterSeconds?: number): void {
  to.seen.status = failure.status;
  if (to.seen.outcome === "open") to.seen.outcome = "failed";
  if (retryAfterSeconds !== undefined) to.response.setHeader("retry-after", retryAfterSeconds);
  sendJson(to.response, failure.status, to.surface.error(failure));
}

/** A fault that takes the answer's place altogether; false when this one leaves the request to go on. */
export function meetWhole(
  to: Refusable & { readonly surface: Surface },
  fault: Fault | undefined,
): boolean {
  switch (fault?.kind) {
    case "status":
      to.seen.outcome = "fault:status";
      refuse(to, simulated(fault.status), fault.retryAfterSeconds);
      return true;
    case "reset-before-headers":
      to.response.socket?.resetAndDestroy();
      break;
    case "reset-after-headers":
      to.response.writeHead(200, { "content-type": to.surface.streamType });
      to.response.flushHeaders();
      setImmediate(() => to.response.socket?.resetAndDestroy());
      break;
    case "empty-stream":
      to.response.writeHead(200, { "content-type": to.surface.streamType });
      to.response.end();
      break;
    case "error-body":
      sendJson(to.response, 200, to.surface.error(simulated(500)));
      break;
    case "wrong-content-type":
      to.response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      to.response.end("<html><body>It works!</body></html>");
      break;
    default:
      return false;
  }
  to.seen.outcome = `fault:${fault.kind}`;
  return true;
}

function simulated(status: number): Failure {
  return { status, message: "a simulated failure", code: "simulated_error" };
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}
