// One request to generate, from its parsed body to the end of its response, with the fault that meets it.

import type { ServerResponse } from "node:http";
import { type Answer, answerTo, goOn } from "./answer.ts";
import { type Fault, isTokenFault, type TokenFault } from "./faults.ts";
import type { ModelRunner } from "./model-runner.ts";
import { countTokens, prefixBlocks } from "./prefix-cache.ts";
import type { SeenRequest } from "./request-log.ts";
import type { Emission } from "./scheduler.ts";
import { refuse, sendJson, spoil, writeAndCut } from "./spoil.ts";
import type { Finish, Generation, Reply, Surface, Usage } from "./surface.ts";
import { Trickle } from "./trickle.ts";

/** A request without a limit, or with a greater one, ends here. */
const tokensMax = 16_384;

/** Stands for the place in a whole answer to which it was written; in no answer of ours. */
const endMark = "\u2021";

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
  readonly #stream: boolean;
  readonly #out: Pick<Trickle, "write" | "end">;
  #job: number | undefined;
  #cachedTokens = 0;
  #text = "";
  #hasBegun = false;
  #over = false;

  constructor(options: ExchangeOptions) {
    const { generation, fault, id, response } = options;
    const { model, prompt, prefix } = generation;
    this.#options = options;
    const isOther = fault?.kind === "other-words";
    this.#answer = answerOf(isOther ? { ...generation, model: `other ${model}` } : generation);
    const isEmpty = fault?.kind === "empty-content";
    this.#outputTokens = isEmpty ? 0 : this.#limit();
    // An answer that goes on past where the model would stop ends by its limit.
    const isAtStop = isEmpty || this.#outputTokens === this.#answer.naturalTokens;
    this.#finish = isAtStop ? "stop" : "length";
    this.#stream = generation.stream && fault?.kind !== "whole-answer";
    this.#out = fault?.kind === "trickle" ? new Trickle(response, fault) : response;
    this.#text = generation.echo ? prefix : "";
    this.#reply = {
      id,
      model,
      createdSeconds: Math.floor(Date.now() / 1_000),
      usageInStream: generation.usageInStream && fault?.kind !== "no-usage",
      promptTokens: countTokens(prompt + prefix),
    };
  }

  #limit(): number {
    const { generation } = this.#options;
    const limit = Math.min(generation.maxTokens ?? tokensMax, tokensMax);
    return Math.min(limit, generation.ignoreStop ? limit : this.#answer.naturalTokens);
  }

  start(): void {
    const { generation, runner, fault, response, surface, seen } = this.#options;
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
    const isAtHeaders = isTokenFault(fault) && fault.token === "headers";
    if (!this.#stream && !isAtHeaders) return;
    seen.status = 200;
    const type = this.#stream ? surface.streamType : "application/json; charset=utf-8";
    response.writeHead(200, { "content-type": type, "cache-control": "no-cache" });
    response.flushHeaders();
    if (isAtHeaders) this.#spoil(fault);
  }

  #take(event: Emission): void {
    if (this.#over) return;
    if (event.kind === "started") this.#cachedTokens = event.cachedTokens;
    else if (event.kind === "token") this.#token(event.index);
    else this.#done();
  }

  #token(index: number): void {
    const { fault, seen, surface } = this.#options;
    this.#begin();
    if (isTokenFault(fault) && fault.token === index) {
      this.#spoil(fault);
      return;
    }
    const text = this.#answer.token(index);
    seen.tokens = index + 1;
    if (this.#stream) this.#out.write(surface.token(this.#reply, text));
    else this.#text += text;
  }

  /** The frames before the first token, and the words that were asked to be said again. */
  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    if (!this.#stream) return;
    const { surface } = this.#options;
    const echoed = this.#text === "" ? "" : surface.token(this.#reply, this.#text);
    this.#out.write(surface.begin(this.#reply) + echoed);
  }

  #done(): void {
    const { fault, seen, runner } = this.#options;
    this.#begin();
    if (isTokenFault(fault)) {
      // The answer was shorter than the fault's place: the fault takes the end's place.
      this.#spoil(fault);
      return;
    }
    this.#over = true;
    seen.outcome = fault === undefined ? "completed" : `fault:${fault.kind}`;
    runner.finished[this.#finish] += 1;
    if (this.#stream) this.#endStream();
    else this.#sendWhole();
  }

  #endStream(): void {
    const { fault, surface, response, seen } = this.#options;
    const last = surface.end(this.#reply, this.#finish, this.#usage());
    const kind = fault?.kind;
    if (kind === "no-sentinel") this.#out.end(surface.unsealed(last));
    else if (kind === "reset-after-finish") writeAndCut(response, seen, surface.unsealed(last));
    else this.#out.end(last);
  }

  #sendWhole(): void {
    const { fault, response, seen, surface } = this.#options;
    seen.status = 200;
    const whole = surface.whole(this.#reply, this.#text, this.#finish, this.#usage());
    if (fault?.kind === "trickle") {
      response.writeHead(200, { "content-type": "application/json; charset=utf-8" });
      this.#out.end(JSON.stringify(whole));
    } else if (fault?.kind === "no-usage") {
      sendJson(response, 200, { ...whole, usage: undefined });
    } else sendJson(response, 200, whole);
  }

  #usage(): Usage {
    return {
      promptTokens: this.#reply.promptTokens,
      completionTokens: this.#outputTokens,
      cachedTokens: this.#cachedTokens,
    };
  }

  #spoil(fault: TokenFault): void {
    const { surface, response, seen } = this.#options;
    this.#stop(`fault:${fault.kind}`);
    if (fault.kind !== "error-at-token") seen.status ??= 200;
    spoil(
      {
        response,
        surface,
        seen,
        reply: this.#reply,
        stream: this.#stream,
        body: this.#bodySoFar(fault.token === "headers"),
      },
      fault,
    );
  }

  /** A whole answer up to the text that there is. */
  #bodySoFar(isAtHeaders: boolean): string {
    if (this.#stream || isAtHeaders) return "";
    const { surface } = this.#options;
    const marked = this.#text + endMark;
    const whole = surface.whole(this.#reply, marked, this.#finish, this.#usage());
    const body = JSON.stringify(whole);
    return body.slice(0, body.indexOf(endMark));
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

/** The answer to a prompt, or what is left of it after the words that it is to go on from. */
function answerOf({ model, prompt, prefix }: Generation): Answer {
  const whole = answerTo(model, prompt);
  if (prefix === "") return whole;
  // Words that this model would not have said lead to an answer of their own.
  return goOn(answerTo(model, prompt), prefix) ?? answerTo(model, prompt + prefix);
}
