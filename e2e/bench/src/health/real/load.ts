// Requests at a steady rate, whatever becomes of them, half of them streamed: what clients see while something fails.

import { localKey } from "@meridian/harness";
import { Agent } from "undici";
import { ask, type Outcome } from "../../replay/ask.ts";
import { askWhole } from "./ask-whole.ts";

/** Something that a client saw and should not have seen. */
export type ClientError = {
  /** Wall clock, when the request was sent and when it ended. */
  readonly sentAt: number;
  readonly endedAt: number;
  /** before, after: the first token. empty: an answer with status 200 and nothing in it. */
  readonly kind: "before" | "after" | "empty";
  readonly cause: string;
};

export type PoolLoad = {
  readonly sent: () => number;
  /** Those that ended in so much time. */
  readonly errors: (from: number, to: number) => readonly ClientError[];
  /** Resolves when all have ended. */
  readonly stop: () => Promise<void>;
};

/** So many of the newest errors are kept: far more than a run has. */
const errorsMax = 10_000;
const answerTokens = 12;
/** Prompts of 150 to 350 tokens. */
const promptCharacters = { least: 600, most: 1_400 } as const;

export class Load {
  readonly #agent = new Agent({ connections: 256, headersTimeout: 60_000, bodyTimeout: 60_000 });
  readonly #loads: PoolLoad[] = [];

  /** Each proxy gets its part of the requests in turn. */
  start(endpoints: readonly string[], model: string, perSecond: number): PoolLoad {
    const load = new OnePoolLoad({ agent: this.#agent, endpoints, model }, perSecond);
    this.#loads.push(load);
    return load;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#loads.map((each) => each.stop()));
    await this.#agent.close();
  }
}

type Target = {
  readonly agent: Agent;
  readonly endpoints: readonly string[];
  readonly model: string;
};

class OnePoolLoad implements PoolLoad {
  readonly #target: Target;
  readonly #errors: ClientError[] = [];
  readonly #live = new Set<Promise<void>>();
  readonly #startedMs = performance.now();
  readonly #betweenMs: number;
  readonly #timer: NodeJS.Timeout;
  #sent = 0;

  constructor(target: Target, perSecond: number) {
    this.#target = target;
    this.#betweenMs = 1_000 / perSecond;
    this.#timer = setInterval(() => this.#sendDue(), this.#betweenMs / 2);
  }

  sent(): number {
    return this.#sent;
  }

  errors(from: number, to: number): readonly ClientError[] {
    return this.#errors.filter((each) => each.endedAt >= from && each.endedAt <= to);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#live);
  }

  /** A timer that was late makes up for it: the rate is what it is. */
  #sendDue(): void {
    const due = Math.floor((performance.now() - this.#startedMs) / this.#betweenMs);
    while (this.#sent < due) {
      const one: Promise<void> = this.#send(this.#sent).finally(() => this.#live.delete(one));
      this.#live.add(one);
      this.#sent += 1;
    }
  }

  async #send(number: number): Promise<void> {
    const { agent, endpoints, model } = this.#target;
    const endpoint = endpoints[number % endpoints.length] ?? "";
    const question = { model, prompt: promptOf(number), outputTokens: answerTokens };
    // Every proxy has streams and whole answers.
    const isStreamed = Math.floor(number / endpoints.length) % 2 === 0;
    const sentAt = Date.now();
    const outcome = isStreamed
      ? await ask(agent, endpoint, question, localKey)
      : await askWhole(agent, endpoint, question, localKey);
    const error = errorOf(outcome);
    if (error === undefined) return;
    this.#errors.push({ ...error, sentAt, endedAt: Date.now() });
    if (this.#errors.length > errorsMax) this.#errors.shift();
  }
}

function errorOf(outcome: Outcome): Pick<ClientError, "kind" | "cause"> | undefined {
  if (outcome.kind === "answered") return undefined;
  const { cause } = outcome;
  if (outcome.kind === "failed" && outcome.wasStreaming) return { kind: "after", cause };
  return { kind: cause === "ended without a token" ? "empty" : "before", cause };
}

/** Each is another one, so that no cache knows it. */
function promptOf(number: number): string {
  const { least, most } = promptCharacters;
  const characters = least + ((number * 7_919) % (most - least));
  return `request ${number} ${filler}`.slice(0, characters);
}

const filler = "the quick brown fox jumps over the lazy dog ".repeat(40);
