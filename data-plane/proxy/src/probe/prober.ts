// Active probes of this proxy: a cheap one each second, and canaries whose answers are judged. It counts; what follows
// from the counts is decided elsewhere. On connections of its own: a probe must not wait behind requests.

import type { Candidate } from "@meridian/data-core/attempt";
import {
  type CanaryExpectation,
  type DueProbe,
  judgeCanary,
  type ProbeNeed,
  ProbePlan,
} from "@meridian/data-core/probe";
import type { Clock, Random } from "@meridian/proto/base";
import type { CanaryView, ProbeView } from "@meridian/proto/snapshot";
import { openai } from "@meridian/wire";
import { Agent } from "undici";

/** A backend that may be probed. */
export type ProbedBackend = {
  readonly candidate: Pick<Candidate, "name" | "origin">;
  readonly probe: ProbeView;
};

/** How a backend stands with regard to its probes. */
export type ProbeStanding = {
  /** This proxy is one of its probers. */
  readonly isMine: boolean;
  readonly need: ProbeNeed;
  /** What the vector of an embedding canary is compared with; empty: none was taken yet. */
  readonly reference: readonly number[];
  /** Which question the reference answers: of another one it says nothing. */
  readonly referenceMark: number;
};

/** Grow from the start, never fall. */
export type ProbeCounts = {
  readonly probes: number;
  readonly probesFailed: number;
  readonly canaries: number;
  readonly canariesWrong: number;
  /** Canaries whose time could be judged, and those that took too long. */
  readonly timed: number;
  readonly slow: number;
  /** What the canaries cost in a day at most; 0: this proxy asks none. */
  readonly canaryTokensPerDay: number;
  /** The newest vector, 64 of its dimensions; empty: none. */
  readonly canaryVector: readonly number[];
  /** Which question that vector answers. */
  readonly canaryMark: number;
};

export type ProberOptions = {
  readonly clock: Clock;
  readonly random: Random;
  readonly standing: (backend: string) => ProbeStanding;
  /** For the log: what was wrong, never what the answer said. */
  readonly failed: (backend: string, kind: DueProbe["kind"], reason: string) => void;
};

const tickMs = 100;
/** A probe that takes longer has failed. */
export const aliveLimitMs = 2_000;
export const canaryLimitMs = 10_000;
const canaryBytesMax = 262_144;
/** An embedding's dimensions that are compared and passed on: enough to tell models and garbage apart. */
const vectorDimensions = 64;

type Counts = { -readonly [K in keyof ProbeCounts]: ProbeCounts[K] };

export class Prober {
  readonly #options: ProberOptions;
  readonly #plan: ProbePlan;
  readonly #agent = new Agent({ connections: 2, pipelining: 1, keepAliveTimeout: 30_000 });
  readonly #closing = new AbortController();
  readonly #counts = new Map<string, Counts>();
  #backends = new Map<string, ProbedBackend>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#plan = new ProbePlan(options.random);
  }

  /** The backends of the policy in force. */
  arrange(backends: readonly ProbedBackend[]): void {
    this.#backends = new Map(backends.map((each) => [each.candidate.name, each]));
    for (const name of this.#counts.keys()) {
      if (!this.#backends.has(name)) this.#counts.delete(name);
    }
    const now = this.#options.clock.now();
    this.#plan.arrange(backends.map(targetOf), now);
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref();
  }

  /** undefined: never probed by this proxy. */
  counts(backend: string): ProbeCounts | undefined {
    return this.#counts.get(backend);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#agent.destroy();
  }

  #tick(): void {
    const { clock, standing } = this.#options;
    for (const due of this.#plan.due((name) => standing(name).need, clock.now())) {
      const backend = this.#backends.get(due.target);
      if (backend === undefined || !standing(due.target).isMine) {
        this.#forgetCost(due.target);
        this.#plan.ended(due);
        continue;
      }
      const run = due.kind === "alive" ? this.#alive(backend) : this.#canary(backend);
      run
        .catch((cause: unknown) => this.#options.failed(due.target, due.kind, String(cause)))
        .finally(() => this.#plan.ended(due));
    }
  }

  async #alive({ candidate, probe }: ProbedBackend): Promise<void> {
    const counts = this.#countsOf(candidate.name);
    const answer = await this.#ask(candidate, { path: probe.path, method: "GET" }, aliveLimitMs);
    if (this.#closing.signal.aborted) return;
    counts.probes += 1;
    if (answer.kind === "answer" && answer.status < 500) return;
    counts.probesFailed += 1;
    this.#options.failed(candidate.name, "alive", reasonOf(answer));
  }

  async #canary({ candidate, probe }: ProbedBackend): Promise<void> {
    const { canary } = probe;
    if (canary === undefined) return;
    const { clock, standing, failed } = this.#options;
    const counts = this.#countsOf(candidate.name);
    counts.canaryTokensPerDay = this.#costOf(candidate.name);
    const { kind, body } = openai.renderCanary(canary.as, canary.ask);
    const path = kind === "chat" ? "/v1/chat/completions" : "/v1/embeddings";
    const startedAt = clock.now();
    const answer = await this.#ask(candidate, { path, method: "POST", body }, canaryLimitMs);
    if (this.#closing.signal.aborted) return;
    // A server without room is asked again later: that it is full says nothing about its answers.
    if (answer.kind === "answer" && answer.isFull) return;
    if (answer.kind === "none" || answer.status >= 500) {
      counts.probes += 1;
      counts.probesFailed += 1;
      failed(candidate.name, "canary", reasonOf(answer));
      return;
    }
    this.#judgeTime(counts, canary, clock.now() - startedAt);
    counts.canaries += 1;
    const { reference, referenceMark } = standing(candidate.name);
    const known = referenceMark === canary.mark ? reference : [];
    const wrong = wrongAnswer(answer, canary, known, counts);
    if (wrong === undefined) return;
    counts.canariesWrong += 1;
    failed(candidate.name, "canary", wrong);
  }

  #judgeTime(counts: Counts, { latencyMs }: CanaryView, tookMs: number): void {
    if (latencyMs === undefined) return;
    counts.timed += 1;
    if (tookMs > latencyMs) counts.slow += 1;
  }

  async #ask(
    { origin }: ProbedBackend["candidate"],
    request: { readonly path: string; readonly method: "GET" | "POST"; readonly body?: string },
    limitMs: number,
  ): Promise<Answer> {
    const signal = AbortSignal.any([AbortSignal.timeout(limitMs), this.#closing.signal]);
    try {
      const { statusCode, headers, body } = await this.#agent.request({
        origin,
        ...request,
        headers: { "content-type": "application/json", accept: "application/json" },
        headersTimeout: limitMs,
        bodyTimeout: limitMs,
        signal,
      });
      let text = "";
      for await (const chunk of body) {
        text += String(Buffer.from(chunk).toString("latin1"));
        if (text.length > canaryBytesMax) return { kind: "none", reason: "it answers too much" };
      }
      const isFull =
        statusCode === 429 || (statusCode === 503 && headers["retry-after"] !== undefined);
      return { kind: "answer", status: statusCode, text, isFull };
    } catch (cause) {
      // Whatever went wrong on the way is one thing to a probe: no answer. The code tells which.
      return { kind: "none", reason: codeOf(cause) };
    }
  }

  #countsOf(name: string): Counts {
    const held = this.#counts.get(name);
    if (held !== undefined) return held;
    const fresh: Counts = {
      probes: 0,
      probesFailed: 0,
      canaries: 0,
      canariesWrong: 0,
      timed: 0,
      slow: 0,
      canaryTokensPerDay: 0,
      canaryVector: [],
      canaryMark: 0,
    };
    this.#counts.set(name, fresh);
    return fresh;
  }

  #costOf(name: string): number {
    return this.#plan.tokensPerDay(name, this.#options.standing(name).need);
  }

  #forgetCost(name: string): void {
    const counts = this.#counts.get(name);
    if (counts !== undefined) counts.canaryTokensPerDay = 0;
  }
}

type Answer =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly text: string;
      /** 429, or 503 with Retry-After. */
      readonly isFull: boolean;
    }
  | { readonly kind: "none"; readonly reason: string };

/** undefined: the answer is right. */
function wrongAnswer(
  { status, text }: Extract<Answer, { readonly kind: "answer" }>,
  canary: CanaryView,
  reference: readonly number[],
  counts: Counts,
): string | undefined {
  if (status !== 200) return `status ${status}`;
  const reading = openai.readCanary(text);
  if (reading === undefined) return "no answer of this protocol";
  const vector = shorten(reading.vector);
  const result = judgeCanary(expectationOf(canary, reference), { ...reading, vector });
  if (result.kind === "wrong") return result.reason;
  counts.canaryVector = vector;
  counts.canaryMark = canary.mark;
  return undefined;
}

function expectationOf(canary: CanaryView, reference: readonly number[]): CanaryExpectation {
  const { as: model, expect } = canary;
  if (expect === undefined) {
    return { kind: "vector", model, reference: reference.length === 0 ? undefined : reference };
  }
  return { kind: "text", model, expect };
}

/** Evenly spread, so that any length of vector has its say; floats, as they travel. */
function shorten(vector: readonly number[]): readonly number[] {
  if (vector.length <= vectorDimensions) return vector.map(Math.fround);
  const step = vector.length / vectorDimensions;
  return Array.from({ length: vectorDimensions }, (_, at) =>
    Math.fround(vector[Math.floor(at * step)] ?? 0),
  );
}

function targetOf({ candidate, probe }: ProbedBackend) {
  const { canary } = probe;
  const canaryTokens = canary === undefined ? 0 : tokensOf(canary);
  return { name: candidate.name, hasCanary: canary !== undefined, canaryTokens };
}

/** Question and answer, at four characters a token. */
function tokensOf({ ask }: CanaryView): number {
  if (ask.kind === "embedding") return Math.ceil(ask.input.length / 4);
  return Math.ceil(ask.prompt.length / 4) + ask.maxTokens;
}

function reasonOf(answer: Answer): string {
  return answer.kind === "none" ? answer.reason : `status ${answer.status}`;
}

function codeOf(cause: unknown): string {
  const error = cause instanceof Error ? cause : undefined;
  if (error?.name === "TimeoutError") return "timeout";
  const code = error !== undefined && "code" in error ? error.code : undefined;
  return typeof code === "string" && /^[A-Z0-9_]{1,40}$/.test(code) ? code : "no answer";
}
