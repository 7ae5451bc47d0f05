// One request at one proxy: carries out what the real attempt machine commands. Nothing fails here, so only first tokens,
// ends and refusals by other regions are told.

import {
  type AttemptCommand,
  type AttemptEvent,
  type Attempts,
  type Candidate,
  type Choice,
  type Ending,
  upstreamFailure,
} from "@meridian/data-core/attempt";
import { noHeaders, type RequestFacts } from "@meridian/data-core/engine";
import { assertNever, type Instant } from "@meridian/proto/base";
import type { Timer } from "../../../kernel/timeline.ts";
import type { Ask } from "../../arena/arena.ts";
import { prefixOf } from "../../workloads/text.ts";
import { model } from "./fleet-policy.ts";
import type { RegionProxy } from "./region-proxy.ts";

/** Who is answered: another proxy; the client itself is told by the arena. */
export type Sender = {
  readonly region: string;
  readonly queueMaxMs: number | undefined;
  readonly first: () => void;
  readonly ended: () => void;
  readonly refused: (queueMs: number | undefined) => void;
};

export class Exchange {
  readonly ask: Ask;
  readonly facts: RequestFacts;
  readonly #proxy: RegionProxy;
  readonly #sender: Sender | undefined;
  readonly #startedAt: Instant;
  #attempts: Attempts | undefined;
  #committedAt: Instant | undefined;
  #route = "";
  #timer: Timer | undefined;
  #isOver = false;

  constructor(proxy: RegionProxy, ask: Ask, sender: Sender | undefined) {
    this.#proxy = proxy;
    this.ask = ask;
    this.#sender = sender;
    this.#startedAt = proxy.now;
    this.facts = factsOf(ask, sender);
  }

  start(): void {
    const { engine, now } = this.#proxy;
    const admission = engine.admit(this.facts, now);
    if (admission.kind === "refused") {
      this.#sender?.refused(admission.refusal.retryAfterMs);
      return;
    }
    this.#route = admission.route;
    this.#attempts = engine.begin(this.facts, now);
    this.#proxy.know(this.#attempts, this);
    this.step({ kind: "start" });
  }

  step(event: AttemptEvent): void {
    if (this.#attempts === undefined || this.#isOver) return;
    for (const command of this.#attempts.step(event, this.#proxy.now)) this.#carryOut(command);
    this.#setTimer();
    this.#proxy.giveRoom();
  }

  #setTimer(): void {
    const { timeline } = this.#proxy.arena;
    timeline.cancel(this.#timer);
    this.#timer = undefined;
    const at = this.#attempts?.wakeAt() ?? Number.POSITIVE_INFINITY;
    if (this.#isOver || at === Number.POSITIVE_INFINITY) return;
    this.#timer = timeline.at(at, () => this.step({ kind: "tick" }));
  }

  #carryOut(command: AttemptCommand): void {
    switch (command.kind) {
      case "call":
        this.#call(command.attempt, command.choice);
        return;
      case "commit":
      case "splice":
        this.#committedAt ??= this.#proxy.now;
        this.#sender?.first();
        return;
      case "finish":
        this.#finish(command.ending);
        return;
      case "hold":
        return;
      case "cancel":
        throw new Error("nothing is hedged and nobody leaves here: no call is cancelled");
      default:
        assertNever(command);
    }
  }

  #call(attempt: number, { candidate, queueMaxMs }: Choice): void {
    this.step({ kind: "connected", attempt });
    if (candidate.kind === "backend") this.#callReplica(attempt, candidate);
    else this.#callPeer(attempt, candidate, queueMaxMs);
  }

  #callReplica(attempt: number, candidate: Candidate): void {
    const { arena, region } = this.#proxy;
    arena.push(this.ask, this.#proxy.replica(candidate.name), region, {
      first: () => this.#speak(attempt),
      ended: () => this.step({ kind: "complete", attempt }),
    });
  }

  #callPeer(attempt: number, candidate: Candidate, queueMaxMs: number | undefined): void {
    const { arena, region } = this.#proxy;
    const peer = this.#proxy.peer(candidate.origin);
    const pathMs = arena.oneWayMs(region, peer.region);
    const { ask } = this;
    const back = (tell: () => void): void => {
      arena.timeline.after(pathMs, tell);
    };
    ask.awayMs += pathMs;
    arena.timeline.after(pathMs, () =>
      peer.take(ask, {
        region: this.#proxy.name,
        queueMaxMs,
        first: () => back(() => this.#speak(attempt)),
        ended: () => back(() => this.step({ kind: "complete", attempt })),
        refused: (queueMs) => {
          ask.awayMs -= pathMs;
          const more = { status: 503, ...(queueMs === undefined ? {} : { retryAfterMs: queueMs }) };
          const failure = upstreamFailure("region-refused", "the region is full", more);
          back(() => this.step({ kind: "failed", attempt, failure }));
        },
      }),
    );
  }

  #speak(attempt: number): void {
    this.step({ kind: "headers", attempt });
    this.step({ kind: "token", attempt, continuable: false });
  }

  #finish(ending: Ending): void {
    this.#isOver = true;
    const { engine, arena, now } = this.#proxy;
    arena.timeline.cancel(this.#timer);
    const { promptTokens, outputTokens } = this.ask.step;
    const isWhole = ending.kind === "complete";
    engine.observe(
      {
        facts: this.facts,
        route: this.#route,
        ending,
        attempts: this.#attempts?.records() ?? [],
        usage: {
          inputTokens: isWhole ? promptTokens : 0,
          outputTokens: isWhole ? outputTokens : 0,
          exact: true,
        },
        startedAt: this.#startedAt,
        committedAt: this.#committedAt,
      },
      now,
    );
    if (isWhole) this.#sender?.ended();
    else this.#sender?.refused(undefined);
  }
}

function factsOf(ask: Ask, sender: Sender | undefined): RequestFacts {
  const facts: RequestFacts = {
    requestId: String(ask.id),
    tenant: "anonymous",
    kind: "chat",
    model,
    stream: true,
    inputTokens: ask.step.promptTokens,
    outputTokensMax: undefined,
    arrivedFrom: sender?.region,
    timeoutMs: undefined,
    continuable: false,
    isContinuation: false,
    protocol: "openai",
    path: "/v1/chat/completions",
    headers: noHeaders,
    prefix: prefixOf(ask.step.blocks),
  };
  const queueMaxMs = sender?.queueMaxMs;
  return queueMaxMs === undefined ? facts : { ...facts, queueMaxMs };
}
