// One call that is under way: its record, and which time limit binds it in the phase that it is in.

import type { Instant } from "@meridian/proto/base";
import type { AttemptRecord, Budgets, CallRole, Choice } from "./attempt.ts";
import { type UpstreamFailure, upstreamFailure } from "./failure.ts";

const never = Number.POSITIVE_INFINITY;

/** Who holds it writes it; readers get it as `AttemptRecord`. */
export type MutableRecord = { -readonly [K in keyof AttemptRecord]: AttemptRecord[K] };

type CallPhase = "connect" | "headers" | "first-token" | "between-tokens";

export type CallStart = {
  readonly attempt: number;
  readonly choice: Choice;
  readonly role: CallRole;
  /** How long the request was held before; its client has waited for so long already. */
  readonly heldMs: number;
  readonly now: Instant;
};

/** Times of one call. Whether a limit that has passed cuts the call is its holder's decision. */
export class LiveCall {
  readonly record: MutableRecord;
  /** When the limit of the phase passes. */
  boundAt: Instant;
  /** When a first token counts as slow; Infinity once it came or was counted. */
  slowAt: Instant;
  /** When a second call may be made beside this one. */
  hedgeAt: Instant = never;
  readonly #budgets: Budgets;
  readonly #heldMs: number;
  #phase: CallPhase = "connect";

  constructor({ attempt, choice, role, heldMs, now }: CallStart, budgets: Budgets) {
    this.#budgets = budgets;
    this.#heldMs = heldMs;
    this.boundAt = now + budgets.connectMs;
    this.slowAt = now + budgets.slowMs;
    this.record = {
      attempt,
      candidate: choice.candidate,
      reason: choice.reason,
      role,
      considered: choice.considered,
      startedAt: now,
      headersAt: undefined,
      firstTokenAt: undefined,
      endedAt: undefined,
      outcome: "running",
      failure: undefined,
      slow: false,
    };
  }

  /** The next moment at which something is due. */
  dueAt(): Instant {
    return Math.min(this.boundAt, this.slowAt, this.hedgeAt);
  }

  connected(now: Instant): void {
    if (this.#phase !== "connect") return;
    this.#phase = "headers";
    this.boundAt = Math.min(this.#firstTokenAt(), now + this.#budgets.headersMs);
  }

  headers(now: Instant): void {
    this.record.headersAt ??= now;
    if (this.#phase === "between-tokens") return;
    this.#phase = "first-token";
    this.boundAt = this.#firstTokenAt();
  }

  /** A token came: true for the first one. */
  token(now: Instant): boolean {
    const { record } = this;
    this.#phase = "between-tokens";
    if (record.firstTokenAt !== undefined) return false;
    record.firstTokenAt = now;
    this.hedgeAt = never;
    return true;
  }

  /** The next token is waited for from now on; `paused`: for as long as it takes, as the client does not read. */
  awaitToken(now: Instant, paused: boolean): void {
    this.boundAt = paused ? never : now + this.#budgets.betweenTokensMs;
  }

  /** The limit passed, but nobody could take over: wait on. The next limit asks again. */
  waitOn(): void {
    const firstTokenAt = this.#firstTokenAt();
    this.boundAt = this.boundAt < firstTokenAt ? firstTokenAt : never;
  }

  /** What passing the limit is called, once it cuts the call. */
  lateness(): UpstreamFailure {
    switch (this.#phase) {
      case "connect":
        return upstreamFailure("connect-timeout", "no connection in time");
      case "between-tokens":
        return upstreamFailure("between-tokens-timeout", "the model server stalled");
      default:
        return this.boundAt < this.#firstTokenAt()
          ? upstreamFailure("headers-timeout", "no head of an answer in time")
          : upstreamFailure("first-token-timeout", "no token in time");
    }
  }

  #firstTokenAt(): Instant {
    return this.record.startedAt + this.#budgets.firstTokenMs - this.#heldMs;
  }
}
