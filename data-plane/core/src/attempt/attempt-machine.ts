// The state machine of one request's attempts. One call at a time; every wait has a deadline; it always ends.
// Rules: before the commit another candidate may take over; after it only the error is left. See attempt.ts.

import { assertNever, type Instant } from "@meridian/proto/base";
import type {
  AttemptCommand,
  AttemptEvent,
  AttemptPorts,
  AttemptRecord,
  Attempts,
  Budgets,
  Candidate,
  Choice,
} from "./attempt.ts";
import { type UpstreamFailure, upstreamFailure } from "./failure.ts";

const nothing: readonly AttemptCommand[] = [];
const never = Number.POSITIVE_INFINITY;

type MutableRecord = { -readonly [K in keyof AttemptRecord]: AttemptRecord[K] };

/** See `Attempts`. */
export class AttemptMachine implements Attempts {
  readonly #ports: AttemptPorts;
  readonly #budgets: Budgets;
  readonly #records: MutableRecord[] = [];
  readonly #excluded: number[] = [];
  #state: "new" | "trying" | "committed" | "finished" = "new";
  #live: MutableRecord | undefined;
  #counted = 0;
  #isPaused = false;
  #totalAt: Instant = never;
  /** Deadline of the phase that the live call is in. */
  #phaseAt: Instant = never;
  #phase: "connect" | "first-token" | "between-tokens" = "connect";

  constructor(ports: AttemptPorts, budgets: Budgets) {
    this.#ports = ports;
    this.#budgets = budgets;
  }

  step(event: AttemptEvent, now: Instant): readonly AttemptCommand[] {
    if (this.#state === "finished") return nothing;
    if (event.kind === "start") return this.#start(now);
    if (event.kind === "client-gone") return this.#leave(now);
    if (event.kind === "tick") return this.#tick(now);
    const live = this.#live;
    if (live === undefined || live.attempt !== event.attempt) return nothing;
    switch (event.kind) {
      case "connected":
        this.#enter("first-token", live.startedAt + this.#budgets.firstTokenMs);
        return nothing;
      case "headers":
        return nothing;
      case "activity":
        if (this.#state === "committed") this.#awaitToken(now);
        return nothing;
      case "paused":
      case "resumed":
        this.#isPaused = event.kind === "paused";
        if (this.#state === "committed") this.#awaitToken(now);
        return nothing;
      case "token":
        return this.#token(live, now);
      case "complete":
        return this.#complete(live, now);
      case "rejected":
        return this.#reject(live, now);
      case "failed":
        return this.#fail(live, event.failure, now);
      default:
        return assertNever(event);
    }
  }

  wakeAt(): Instant {
    return this.#state === "finished" ? never : Math.min(this.#totalAt, this.#phaseAt);
  }

  deadlineAt(): Instant {
    return this.#totalAt;
  }

  committed(): boolean {
    return this.#state === "committed";
  }

  finished(): boolean {
    return this.#state === "finished";
  }

  records(): readonly AttemptRecord[] {
    return this.#records;
  }

  #start(now: Instant): readonly AttemptCommand[] {
    if (this.#state !== "new") return nothing;
    this.#state = "trying";
    this.#totalAt = now + this.#budgets.totalMs;
    return this.#callNext(undefined, now);
  }

  #leave(now: Instant): readonly AttemptCommand[] {
    const cancelled = this.#cancel(undefined, now);
    return [...cancelled, this.#finish({ kind: "client-gone" })];
  }

  #token(live: MutableRecord, now: Instant): readonly AttemptCommand[] {
    this.#awaitToken(now);
    if (this.#state === "committed") return nothing;
    this.#state = "committed";
    live.firstTokenAt = now;
    return [{ kind: "commit", attempt: live.attempt }];
  }

  /** While the client does not read, no token can come: only the total binds. */
  #awaitToken(now: Instant): void {
    this.#enter("between-tokens", this.#isPaused ? never : now + this.#budgets.betweenTokensMs);
  }

  #complete(live: MutableRecord, now: Instant): readonly AttemptCommand[] {
    const attempt = live.attempt;
    const wasCommitted = this.#state === "committed";
    live.firstTokenAt ??= now;
    this.#end(live, "complete", undefined, now);
    const finish = this.#finish({ kind: "complete", attempt });
    return wasCommitted ? [finish] : [{ kind: "commit", attempt }, finish];
  }

  #reject(live: MutableRecord, now: Instant): readonly AttemptCommand[] {
    if (this.#state === "committed") return nothing;
    this.#end(live, "rejected", undefined, now);
    return [this.#finish({ kind: "rejected", attempt: live.attempt })];
  }

  #fail(live: MutableRecord, failure: UpstreamFailure, now: Instant): readonly AttemptCommand[] {
    const attempt = live.attempt;
    this.#end(live, "failed", failure, now);
    if (this.#state === "committed") return [this.#finish({ kind: "broken", attempt, failure })];
    if (isFree(live.candidate, failure)) this.#counted -= 1;
    return this.#callNext(failure, now);
  }

  #tick(now: Instant): readonly AttemptCommand[] {
    if (now >= this.#totalAt) return this.#endOfTime(now);
    if (now < this.#phaseAt || this.#live === undefined) return nothing;
    const { attempt } = this.#live;
    if (this.#phase === "between-tokens") {
      const failure = upstreamFailure("between-tokens-timeout", "the model server stalled");
      const cancelled = this.#cancel(failure, now);
      return [...cancelled, this.#finish({ kind: "broken", attempt, failure })];
    }
    // The last candidate is never cut for being slow: an answer late is better than none.
    const choice = this.#next(now);
    if (choice.candidate === undefined) {
      this.#phaseAt = never;
      return nothing;
    }
    const failure =
      this.#phase === "connect"
        ? upstreamFailure("connect-timeout", "no connection in time")
        : upstreamFailure("first-token-timeout", "no token in time");
    const { candidate } = this.#live;
    const cancelled = this.#cancel(failure, now);
    if (isFree(candidate, failure)) this.#counted -= 1;
    return [...cancelled, this.#call(choice, now)];
  }

  #endOfTime(now: Instant): readonly AttemptCommand[] {
    const failure = upstreamFailure("total-timeout", "the time for the request is over");
    const attempt = this.#live?.attempt ?? 0;
    const wasCommitted = this.#state === "committed";
    const cancelled = this.#cancel(failure, now);
    const finish = wasCommitted
      ? this.#finish({ kind: "broken", attempt, failure })
      : this.#finish({
          kind: "refused",
          cause: { last: failure, reason: "the time for the request is over" },
        });
    return [...cancelled, finish];
  }

  #callNext(last: UpstreamFailure | undefined, now: Instant): readonly AttemptCommand[] {
    const choice = this.#next(now);
    if (choice.candidate !== undefined) return [this.#call(choice, now)];
    return [this.#finish({ kind: "refused", cause: { last, reason: choice.reason } })];
  }

  #next(now: Instant): ReturnType<AttemptPorts["next"]> {
    const callsLeft = this.#budgets.attempts - this.#counted;
    if (callsLeft <= 0) return { candidate: undefined, reason: "every allowed attempt was made" };
    return this.#ports.next({ excluded: this.#excluded, callsLeft }, now);
  }

  #call(choice: Choice, now: Instant): AttemptCommand {
    const attempt = this.#records.length + 1;
    this.#counted += 1;
    this.#excluded.push(choice.candidate.slot);
    const record: MutableRecord = {
      attempt,
      candidate: choice.candidate,
      reason: choice.reason,
      role: attempt === 1 ? "first" : "retry",
      considered: choice.considered,
      startedAt: now,
      headersAt: undefined,
      firstTokenAt: undefined,
      endedAt: undefined,
      outcome: "running",
      failure: undefined,
      slow: false,
    };
    this.#records.push(record);
    this.#live = record;
    this.#enter("connect", now + this.#budgets.connectMs);
    this.#ports.started(choice.candidate, now);
    return { kind: "call", attempt, choice, role: record.role };
  }

  #enter(phase: "connect" | "first-token" | "between-tokens", until: Instant): void {
    this.#phase = phase;
    this.#phaseAt = until;
  }

  /** Ends the live call from our side; with a failure it is the upstream's doing. */
  #cancel(failure: UpstreamFailure | undefined, now: Instant): readonly AttemptCommand[] {
    const live = this.#live;
    if (live === undefined) return nothing;
    this.#end(live, failure === undefined ? "cancelled" : "failed", failure, now);
    return [{ kind: "cancel", attempt: live.attempt }];
  }

  #end(
    live: MutableRecord,
    outcome: "complete" | "rejected" | "cancelled" | "failed",
    failure: UpstreamFailure | undefined,
    now: Instant,
  ): void {
    live.outcome = outcome;
    live.failure = failure;
    live.endedAt = now;
    this.#live = undefined;
    this.#phaseAt = never;
    const { candidate, startedAt } = live;
    this.#ports.ended({ candidate, outcome, failure, startedAt }, now);
  }

  #finish(ending: Extract<AttemptCommand, { kind: "finish" }>["ending"]): AttemptCommand {
    this.#state = "finished";
    return { kind: "finish", ending };
  }
}

/** A peer that took nothing cost one round trip and no work: the next region may still be asked. */
function isFree(candidate: Candidate, failure: UpstreamFailure): boolean {
  if (candidate.kind !== "peer") return false;
  return (
    failure.kind === "region-refused" ||
    failure.kind === "connect" ||
    failure.kind === "connect-timeout"
  );
}
