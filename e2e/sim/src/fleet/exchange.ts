// One request at a simulated proxy: carries out what the real attempt machine commands, and tells it what happens. Mirrors
// the shell's exchange; deviations are sabotage, which tests of the checkers order.

import type {
  AttemptCommand,
  AttemptEvent,
  Attempts,
  CallRole,
  Choice,
  Ending,
  UpstreamFailure,
} from "@meridian/data-core/attempt";
import type { RequestFacts } from "@meridian/data-core/engine";
import { assertNever, type Instant } from "@meridian/proto/base";
import type { SimRequest } from "../kernel/request.ts";
import type { Timer } from "../kernel/timeline.ts";
import type { Asker, AskerEnding, Served } from "./asker.ts";
import type { SimProxy } from "./proxy.ts";
import { type ClientReading, readAsClient } from "./spoken-answer.ts";

/** One call of an exchange, to a backend or to a peer. */
export type UpstreamCall = {
  readonly start: () => void;
  readonly cancel: () => void;
  /** World time of its newest token; undefined: it has sent none. */
  readonly lastTokenAt: () => Instant | undefined;
  readonly outputTokens: () => number;
  /** Its answer came to its true end. */
  readonly isTrueEnd: () => boolean;
  /** The bytes that were passed on; undefined: it is not spoken. */
  readonly sent: () => string | undefined;
};

export type CallEvents = {
  readonly connected: () => void;
  readonly firstToken: (served: Served) => void;
  readonly complete: () => void;
  readonly failed: (failure: UpstreamFailure) => void;
};

type Live = { readonly call: UpstreamCall; readonly role: CallRole; tokenAt: Instant };

export type GivenRequest = {
  readonly facts: RequestFacts;
  readonly isFromPeer: boolean;
  readonly spokenTokens: number;
};

export class Exchange {
  readonly proxy: SimProxy;
  readonly request: SimRequest;
  readonly facts: RequestFacts;
  /** Another region's proxy sent it, whatever the facts say. */
  readonly isFromPeer: boolean;
  readonly #asker: Asker;
  readonly #startedAt: Instant;
  attempts: Attempts | undefined;
  /** Calls that were made. */
  calls = 0;
  isOver = false;
  #route = "";
  #committedAt: Instant | undefined;
  readonly #live = new Map<number, Live>();
  /** What the newest first token told. */
  #served: Served | undefined;
  /** The call whose answer the asker hears. */
  #speaker: Live | undefined;
  /** Everybody who was heard. */
  readonly #spoke = new Set<Live>();
  /** Tokens that its asker had before it asked. */
  readonly #givenTokens: number;
  /** Tokens of speakers that broke off. */
  #spokenBefore = 0;
  #timer: Timer | undefined;

  constructor(proxy: SimProxy, request: SimRequest, given: GivenRequest, asker: Asker) {
    this.proxy = proxy;
    this.request = request;
    this.facts = given.facts;
    this.isFromPeer = given.isFromPeer;
    this.#givenTokens = given.spokenTokens;
    this.#asker = asker;
    this.#startedAt = proxy.node.now();
  }

  start(): void {
    const { engine, node, notes } = this.proxy;
    const admission = engine.admit(this.facts, node.now());
    if (admission.kind === "refused") {
      const { problem, reason, retryAfterMs } = admission.refusal;
      notes.refused(this, problem.code);
      const isForbidden = reason === "residency" || reason === "unknown-tenant";
      this.#tellEnd({
        kind: "refused",
        status: isForbidden ? 403 : 503,
        code: problem.code,
        retryAfterMs,
      });
      return;
    }
    this.#route = admission.route;
    this.attempts = engine.begin(this.facts, node.now());
    this.proxy.began(this, this.attempts);
    notes.began(this);
    this.#step({ kind: "start" });
  }

  /** The asker is gone. */
  leave(): void {
    this.#step({ kind: "client-gone" });
  }

  /** Its proxy has died: nothing of it is left, and the servers see its connections close. */
  die(): void {
    this.isOver = true;
    for (const { call } of this.#live.values()) call.cancel();
    this.#live.clear();
  }

  /** It is held, and a place may be free. */
  tryAgain(): void {
    this.#step({ kind: "room" });
  }

  /** World time at which its asker last heard of it, as long as it goes on. */
  lastTokenAt(): Instant | undefined {
    return this.#speaker?.call.lastTokenAt();
  }

  /** Sent to its asker. */
  outputTokens(): number {
    return this.#spokenBefore + (this.#speaker?.call.outputTokens() ?? 0);
  }

  /** What the client has, whoever sent it: a continuation goes on from there. */
  spokenTokens(): number {
    return this.#givenTokens + this.#spokenBefore;
  }

  #step(event: AttemptEvent): void {
    const { attempts } = this;
    if (attempts === undefined || this.isOver) return;
    for (const command of attempts.step(event, this.proxy.node.now())) this.#carryOut(command);
    if (this.isOver && !this.proxy.node.isUp) return;
    this.#setTimer();
    if (event.kind !== "room") this.proxy.shareRoom();
  }

  #setTimer(): void {
    const { node } = this.proxy;
    node.cancel(this.#timer);
    this.#timer = undefined;
    const at = this.attempts?.wakeAt() ?? Number.POSITIVE_INFINITY;
    if (this.isOver || at === Number.POSITIVE_INFINITY) return;
    this.#timer = node.at(at, () => this.#wake());
  }

  /** Tokens after the first are not events of their own: what came since is told when a limit on them is due. */
  #wake(): void {
    const { node } = this.proxy;
    const speaker = this.#speaker;
    const last = speaker?.call.lastTokenAt();
    if (speaker !== undefined && last !== undefined && last > speaker.tokenAt) {
      speaker.tokenAt = last;
      const attempt = this.#attemptOf(speaker);
      const continuable = this.facts.continuable;
      // An instant of the world, on the node's clock.
      const at = node.skew.originMs + last * node.skew.rate;
      for (const command of this.attempts?.step({ kind: "token", attempt, continuable }, at) ??
        []) {
        this.#carryOut(command);
      }
    }
    this.#step({ kind: "tick" });
  }

  #carryOut(command: AttemptCommand): void {
    switch (command.kind) {
      case "call":
        this.#call(command.attempt, command.choice, command.role);
        return;
      case "cancel":
        this.#drop(command.attempt);
        return;
      case "commit":
      case "splice":
        this.#speak(command.attempt, command.kind);
        return;
      case "hold":
        this.proxy.notes.held(this);
        return;
      case "finish":
        this.#finish(command.ending);
        return;
      default:
        assertNever(command);
    }
  }

  #call(attempt: number, choice: Choice, role: CallRole): void {
    const { notes } = this.proxy;
    this.calls += 1;
    const candidate = this.proxy.divert(this, choice.candidate);
    notes.called(this, { candidate, role, attempt, reason: choice.reason });
    const { queueMaxMs } = choice;
    const how = { candidate, role, queueMaxMs };
    const call = this.proxy.open(this, how, this.#events(attempt));
    this.#live.set(attempt, { call, role, tokenAt: 0 });
    call.start();
  }

  #events(attempt: number): CallEvents {
    return {
      connected: () => this.#step({ kind: "connected", attempt }),
      firstToken: (served) => {
        const live = this.#live.get(attempt);
        if (live === undefined) return;
        live.tokenAt = this.proxy.timeline.now;
        this.#served = served;
        this.#step({ kind: "headers", attempt });
        this.#step({ kind: "token", attempt, continuable: this.facts.continuable });
      },
      complete: () => this.#step({ kind: "complete", attempt }),
      failed: (failure) => {
        this.#silence(this.#live.get(attempt));
        this.#live.delete(attempt);
        this.#step({ kind: "failed", attempt, failure });
      },
    };
  }

  #speak(attempt: number, kind: "commit" | "splice"): void {
    const live = this.#live.get(attempt);
    if (live === undefined) return;
    this.proxy.notes.spoke(this, { attempt, kind, role: live.role });
    this.#speaker = live;
    this.#spoke.add(live);
    this.#committedAt ??= this.proxy.node.now();
    if (kind === "commit" && this.#served !== undefined) this.#asker.firstToken(this.#served);
  }

  #drop(attempt: number): void {
    const live = this.#live.get(attempt);
    this.#silence(live);
    this.#live.delete(attempt);
    live?.call.cancel();
  }

  /** Nothing more is heard of a call; what it has said counts. */
  #silence(live: Live | undefined): void {
    if (live === undefined || live !== this.#speaker) return;
    this.#spokenBefore += live.call.outputTokens();
    this.#speaker = undefined;
  }

  #finish(ending: Ending): void {
    const { engine, node, notes } = this.proxy;
    const told = this.proxy.distort(this, this.#endingOf(ending));
    notes.ended(this, ending);
    this.#settle(ending);
    for (const attempt of [...this.#live.keys()]) this.#drop(attempt);
    this.#tellEnd(told);
    engine.observe(
      {
        facts: this.facts,
        route: this.#route,
        ending,
        attempts: this.attempts?.records() ?? [],
        usage: {
          inputTokens: ending.kind === "complete" ? this.request.inputTokens : 0,
          outputTokens: this.outputTokens(),
          exact: true,
        },
        startedAt: this.#startedAt,
        committedAt: this.#committedAt,
      },
      node.now(),
    );
  }

  #settle(ending: Ending): void {
    this.isOver = true;
    const { node } = this.proxy;
    node.cancel(this.#timer);
    // An answer that is whole is not cancelled.
    if (ending.kind !== "complete") return;
    this.#live.delete(ending.attempt);
  }

  #endingOf(ending: Ending): AskerEnding | undefined {
    const outputTokens = this.outputTokens();
    switch (ending.kind) {
      case "complete":
        return {
          kind: "complete",
          isTrue: this.#speaker?.call.isTrueEnd() ?? false,
          outputTokens,
          reading: this.#readByClient(undefined),
        };
      case "rejected":
        return { kind: "refused", status: 400, code: "rejected", retryAfterMs: undefined };
      case "refused": {
        const { last, retryAfterMs } = ending.cause;
        const code = last?.kind ?? "no-backend";
        return { kind: "refused", status: 503, code, retryAfterMs: retryAfterMs ?? 1_000 };
      }
      case "broken":
        return {
          kind: "broken",
          failure: ending.failure,
          outputTokens,
          reading: this.#readByClient(ending.failure),
        };
      case "client-gone":
        return undefined;
      default:
        return assertNever(ending);
    }
  }

  /** undefined: the bytes of this answer are not modelled, or not from one call alone. */
  #readByClient(failure: UpstreamFailure | undefined): ClientReading | undefined {
    const sent = this.#spoke.size === 1 ? [...this.#spoke][0]?.call.sent() : undefined;
    return sent === undefined ? undefined : readAsClient(sent, failure);
  }

  #tellEnd(ending: AskerEnding | undefined): void {
    this.isOver = true;
    this.proxy.left(this);
    if (ending !== undefined) this.#asker.end(ending);
  }

  #attemptOf(live: Live): number {
    for (const [attempt, each] of this.#live) if (each === live) return attempt;
    return 0;
  }
}
