// The state machine of one request's attempts. Two calls at most live at once; every wait has a deadline; it always ends.
// Rules: before the commit another candidate may take over; after it a continuation alone, or the error. See attempt.ts.

import { assertNever, fullJitterMs, type Instant, type Random } from "@meridian/proto/base";
import type {
  AttemptCommand,
  AttemptEvent,
  AttemptPorts,
  AttemptRecord,
  Attempts,
  Budgets,
  CallRole,
  Choice,
  Ending,
  Hold,
  NoChoice,
} from "./attempt.ts";
import { CallLedger } from "./call-ledger.ts";
import { ruleOf, type UpstreamFailure, upstreamFailure } from "./failure.ts";
import { HoldClock } from "./hold-clock.ts";
import type { LiveCall } from "./live-call.ts";

const nothing: readonly AttemptCommand[] = [];
const never = Number.POSITIVE_INFINITY;

/** News of one call. */
type CallEvent = Exclude<
  AttemptEvent,
  { readonly kind: "start" | "client-gone" | "room" | "tick" | "paused" | "resumed" }
>;

/** The wait before the second and each later retry: at most 25 ms × 2^retry, and never more than a second. */
export const backOff = { baseMs: 25, capMs: 1_000 } as const;

/** See `Attempts`. */
export class AttemptMachine implements Attempts {
  readonly #ports: AttemptPorts;
  readonly #budgets: Budgets;
  readonly #random: Random;
  readonly #calls: CallLedger;
  #state: "new" | "trying" | "committed" | "finished" = "new";
  #isPaused = false;
  #totalAt: Instant = never;
  /** End of a back-off; Infinity when there is none. */
  #retryAt: Instant = never;
  readonly #hold: HoldClock;
  /** Retries that a failure with something sent led to: the first goes at once, the others wait. */
  #retries = 0;
  #mayHedge: boolean;
  #last: UpstreamFailure | undefined;
  /** The attempt whose answer the client reads. */
  #speaker = 0;
  /** What the client has can be gone on from. */
  #continuable = false;
  /** Why the speaker broke off, while others are asked to go on. */
  #broken: UpstreamFailure | undefined;

  constructor(ports: AttemptPorts, budgets: Budgets, random: Random) {
    this.#ports = ports;
    this.#budgets = budgets;
    this.#random = random;
    this.#calls = new CallLedger(ports, budgets);
    this.#hold = new HoldClock(budgets.holdMs);
    this.#mayHedge = budgets.hedges;
  }

  step(event: AttemptEvent, now: Instant): readonly AttemptCommand[] {
    if (this.#state === "finished") return nothing;
    switch (event.kind) {
      case "start":
        return this.#start(now);
      case "client-gone":
        return this.#leave(now);
      case "tick":
        return this.#tick(now);
      case "room":
        return this.#hold.isOn ? this.#callNext(now) : nothing;
      case "paused":
      case "resumed":
        return this.#pause(event.kind === "paused", now);
      default: {
        const call = this.#calls.find(event.attempt);
        return call === undefined ? nothing : this.#hear(call, event, now);
      }
    }
  }

  wakeAt(): Instant {
    if (this.#state === "finished") return never;
    let at = Math.min(this.#totalAt, this.#retryAt, this.#hold.dueAt);
    for (const call of this.#calls.live) at = Math.min(at, call.dueAt());
    return at;
  }

  deadlineAt(): Instant {
    return this.#totalAt;
  }

  committed(): boolean {
    return this.#state === "committed";
  }

  mayContinue(): boolean {
    return this.#budgets.continues && this.#calls.left() > 0;
  }

  finished(): boolean {
    return this.#state === "finished";
  }

  heldMs(now: Instant): number {
    return this.#hold.heldMs(now);
  }

  records(): readonly AttemptRecord[] {
    return this.#calls.records;
  }

  #start(now: Instant): readonly AttemptCommand[] {
    if (this.#state !== "new") return nothing;
    this.#state = "trying";
    this.#totalAt = now + this.#budgets.totalMs;
    // Another region may have used up the caller's time.
    return now >= this.#totalAt ? this.#endOfTime(now) : this.#callNext(now);
  }

  #leave(now: Instant): readonly AttemptCommand[] {
    const commands = this.#calls.cancelAll(undefined, now);
    return [...commands, this.#finish({ kind: "client-gone" }, now)];
  }

  /** It is the client that does not read, whoever speaks: while it does not, no token can come, and only the total binds. */
  #pause(isPaused: boolean, now: Instant): readonly AttemptCommand[] {
    this.#isPaused = isPaused;
    this.#speaking()?.awaitToken(now, isPaused);
    return nothing;
  }

  #hear(call: LiveCall, event: CallEvent, now: Instant): readonly AttemptCommand[] {
    switch (event.kind) {
      case "connected":
        call.connected(now);
        return nothing;
      case "headers":
        call.headers(now);
        return nothing;
      case "activity":
        if (call === this.#speaking()) call.awaitToken(now, this.#isPaused);
        return nothing;
      case "token":
        this.#continuable = event.continuable;
        return this.#token(call, now);
      case "complete":
        return this.#complete(call, now);
      case "rejected":
        return this.#reject(call, now);
      case "failed":
        return this.#fail(call, event.failure, now);
      default:
        return assertNever(event);
    }
  }

  #token(call: LiveCall, now: Instant): readonly AttemptCommand[] {
    const isFirst = call.token(now);
    call.awaitToken(now, this.#isPaused);
    return isFirst ? this.#speak(call, now) : nothing;
  }

  /** From now on the client hears this call; a second one is of no more use. */
  #speak(call: LiveCall, now: Instant): readonly AttemptCommand[] {
    const { attempt, candidate, startedAt } = call.record;
    this.#markSlow(call, now);
    call.slowAt = never;
    const wait = { ms: now - startedAt, isCut: false, isSlow: call.record.slow };
    this.#ports.waited(candidate, wait, now);
    const kind = this.#state === "committed" ? "splice" : "commit";
    this.#state = "committed";
    this.#speaker = attempt;
    this.#broken = undefined;
    if (this.#calls.live.length < 2) return [{ kind, attempt }];
    return [{ kind, attempt }, ...this.#cancelOthers(call, now)];
  }

  #complete(call: LiveCall, now: Instant): readonly AttemptCommand[] {
    const { attempt } = call.record;
    const commands = call.token(now) ? this.#speak(call, now) : nothing;
    this.#calls.end(call, "complete", undefined, now);
    return [...commands, this.#finish({ kind: "complete", attempt }, now)];
  }

  /** The request's fault. A continuation is our own making: its refusal is the target's, and no answer to the client. */
  #reject(call: LiveCall, now: Instant): readonly AttemptCommand[] {
    const { attempt } = call.record;
    if (this.#speaker === attempt) return nothing;
    this.#calls.end(call, "rejected", undefined, now);
    if (this.#state === "committed") return this.#goOn(now);
    const commands = this.#calls.cancelAll(undefined, now);
    return [...commands, this.#finish({ kind: "rejected", attempt }, now)];
  }

  #fail(call: LiveCall, failure: UpstreamFailure, now: Instant): readonly AttemptCommand[] {
    this.#calls.end(call, "failed", failure, now);
    if (this.#state === "committed") {
      this.#broken ??= failure;
      return this.#goOn(now);
    }
    this.#last = failure;
    // The other one may still answer.
    return this.#calls.live.length > 0 ? nothing : this.#retry(failure, now);
  }

  #retry(failure: UpstreamFailure, now: Instant): readonly AttemptCommand[] {
    if (now >= this.#totalAt) return this.#endOfTime(now);
    const rule = ruleOf(failure);
    const choice = rule.retried ? this.#nextOrHold("retry", now) : notRetried;
    if (choice.candidate === undefined && choice.kind === "none")
      return [this.#refuse(choice, now)];
    if (!rule.spends) return this.#follow(choice, "retry", now);
    if (!this.#ports.spend("retry", now)) return [this.#refuse(budgetSpent, now)];
    this.#retries += 1;
    if (this.#retries === 1) return this.#follow(choice, "retry", now);
    // Half of what is left of the time at most: an answer takes some, too.
    const capMs = Math.min(backOff.capMs, (this.#totalAt - now) / 2);
    const limits = { baseMs: backOff.baseMs, capMs };
    this.#retryAt = now + fullJitterMs(this.#retries - 1, limits, this.#random);
    return nothing;
  }

  /** The client has a part of an answer: somebody may go on from it, or it is told that it is broken. */
  #goOn(now: Instant): readonly AttemptCommand[] {
    const failure = this.#broken ?? upstreamFailure("truncated", "the answer broke off");
    const may = this.mayContinue() && this.#continuable && now < this.#totalAt;
    if (may && ruleOf(failure).continued) {
      const choice = this.#calls.next("continuation", now);
      if (choice.candidate !== undefined) return [this.#call(choice, "continuation", now)];
    }
    return [this.#finish({ kind: "broken", attempt: this.#speaker, failure }, now)];
  }

  #tick(now: Instant): readonly AttemptCommand[] {
    if (this.#state === "new") return nothing;
    if (now >= this.#totalAt) return this.#endOfTime(now);
    if (now >= this.#retryAt) {
      this.#retryAt = never;
      return this.#callNext(now);
    }
    if (now >= this.#hold.dueAt) return this.#callNext(now);
    const commands: AttemptCommand[] = [];
    for (const call of [...this.#calls.live]) {
      if (now >= call.slowAt) this.#markSlow(call, now);
      if (now >= call.hedgeAt) commands.push(...this.#hedge(call, now));
      if (now >= call.boundAt) commands.push(...this.#overdue(call, now));
    }
    return commands;
  }

  /** A stalled stream is cut. Before its first token a call is cut only for another: late is better than never. */
  #overdue(call: LiveCall, now: Instant): readonly AttemptCommand[] {
    const failure = call.lateness();
    const { role } = call.record;
    if (call === this.#speaking()) {
      this.#broken = failure;
      return [this.#calls.cancel(call, failure, now), ...this.#goOn(now)];
    }
    const successor = role === "continuation" ? role : "retry";
    const choice = this.#calls.next(successor, now, { call, failure });
    if (choice.candidate === undefined || !this.#pays(successor, failure, now)) {
      call.waitOn();
      return nothing;
    }
    const cancelled = this.#calls.cancel(call, failure, now);
    return [cancelled, this.#call(choice, successor, now)];
  }

  #pays(role: CallRole, failure: UpstreamFailure, now: Instant): boolean {
    if (role === "continuation" || !ruleOf(failure).spends) return true;
    return this.#ports.spend("retry", now);
  }

  /** One second call for each request, beside the only live one. */
  #hedge(call: LiveCall, now: Instant): readonly AttemptCommand[] {
    call.hedgeAt = never;
    if (!this.#mayHedge || this.#calls.live.length > 1) return nothing;
    const choice = this.#calls.next("hedge", now);
    if (choice.candidate === undefined || !this.#ports.spend("hedge", now)) return nothing;
    this.#mayHedge = false;
    return [this.#call(choice, "hedge", now)];
  }

  #markSlow(call: LiveCall, now: Instant): void {
    if (now < call.slowAt) return;
    call.slowAt = never;
    call.record.slow = true;
    this.#ports.slow(call.record.candidate, now);
  }

  #endOfTime(now: Instant): readonly AttemptCommand[] {
    const failure = upstreamFailure("total-timeout", "the time for the request is over");
    const attempt = this.#speaker;
    const wasCommitted = this.#state === "committed";
    const commands = this.#calls.cancelAll(failure, now);
    this.#last = failure;
    const finish = wasCommitted
      ? this.#finish({ kind: "broken", attempt, failure: this.#broken ?? failure }, now)
      : this.#refuse({ reason: failure.message, retryAfterMs: undefined }, now);
    return [...commands, finish];
  }

  #callNext(now: Instant): readonly AttemptCommand[] {
    const role = this.#calls.records.length === 0 ? "first" : "retry";
    return this.#follow(this.#nextOrHold(role, now), role, now);
  }

  #nextOrHold(role: CallRole, now: Instant): Choice | NoChoice | Hold {
    const limits = { heldMs: this.#hold.heldMs(now), holdLeftMs: this.#hold.leftMs(now) };
    return this.#calls.nextOrHold(role, limits, now);
  }

  #follow(
    choice: Choice | NoChoice | Hold,
    role: CallRole,
    now: Instant,
  ): readonly AttemptCommand[] {
    if (choice.candidate !== undefined) return [this.#call(choice, role, now)];
    if (choice.kind === "none") return [this.#refuse(choice, now)];
    if (!this.#hold.begin(choice.askAt, now)) return nothing;
    this.#ports.held(now);
    return [{ kind: "hold" }];
  }

  #release(now: Instant): void {
    if (this.#hold.end(now)) this.#ports.released(now);
  }

  #call(choice: Choice, role: CallRole, now: Instant): AttemptCommand {
    this.#release(now);
    const isAlone = this.#calls.live.length === 0;
    const call = this.#calls.open(choice, role, this.#hold.heldMs(now), now);
    call.slowAt = Math.min(call.slowAt, now + this.#ports.slowAfterMs(choice.candidate));
    if (this.#mayHedge && isAlone && this.#state === "trying") {
      call.hedgeAt = now + this.#ports.hedgeDelayMs(choice.candidate);
    }
    return { kind: "call", attempt: call.record.attempt, choice, role };
  }

  /** The call that the client hears now. */
  #speaking(): LiveCall | undefined {
    return this.#state === "committed" ? this.#calls.find(this.#speaker) : undefined;
  }

  #cancelOthers(winner: LiveCall, now: Instant): readonly AttemptCommand[] {
    const losers = this.#calls.live.filter((each) => each !== winner);
    return losers.map((loser) => {
      const { candidate, startedAt } = loser.record;
      // Its wait was cut short, but is known to be this long: left out, slow targets would look quicker than they are.
      const wait = { ms: now - startedAt, isCut: true, isSlow: loser.record.slow };
      this.#ports.waited(candidate, wait, now);
      return this.#calls.cancel(loser, undefined, now);
    });
  }

  #refuse({ reason, retryAfterMs }: Why, now: Instant): AttemptCommand {
    const cause = { last: this.#last, reason, retryAfterMs };
    return this.#finish({ kind: "refused", cause }, now);
  }

  #finish(ending: Ending, now: Instant): AttemptCommand {
    this.#release(now);
    this.#state = "finished";
    return { kind: "finish", ending };
  }
}

type Why = Pick<NoChoice, "reason" | "retryAfterMs">;

const notRetried: NoChoice = {
  kind: "none",
  candidate: undefined,
  reason: "trying again would not help",
  retryAfterMs: undefined,
};

const budgetSpent: Why = { reason: "the retry budget is spent", retryAfterMs: undefined };
