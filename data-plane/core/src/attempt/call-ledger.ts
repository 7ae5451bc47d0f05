// The calls of one request: which live, which targets were called, how many count. It tells the ports of each call's
// start and end, exactly once.

import type { Instant } from "@meridian/proto/base";
import type {
  AttemptCommand,
  AttemptEnd,
  AttemptPorts,
  AttemptRecord,
  Budgets,
  CallRole,
  Candidate,
  Choice,
  Hold,
  NoChoice,
} from "./attempt.ts";
import { isUnsent, type UpstreamFailure } from "./failure.ts";
import { LiveCall } from "./live-call.ts";

const noCallLeft: NoChoice = {
  kind: "none",
  candidate: undefined,
  reason: "every allowed attempt was made",
  retryAfterMs: undefined,
};

const noPlace: NoChoice = {
  kind: "none",
  candidate: undefined,
  reason: "no place became free in time",
  retryAfterMs: undefined,
};

/** What `next` is told of a hold. */
export type HoldLimits = { readonly heldMs: number; readonly holdLeftMs: number };

/** For calls beside or after another one: the client has somebody already. */
const neverHeld: HoldLimits = { heldMs: 0, holdLeftMs: 0 };

export class CallLedger {
  readonly records: AttemptRecord[] = [];
  /** At most two. */
  readonly live: LiveCall[] = [];
  readonly #ports: AttemptPorts;
  readonly #budgets: Budgets;
  readonly #excluded: number[] = [];
  #counted = 0;

  constructor(ports: AttemptPorts, budgets: Budgets) {
    this.#ports = ports;
    this.#budgets = budgets;
  }

  /** Calls that may still be made. */
  left(): number {
    return this.#budgets.attempts - this.#counted;
  }

  find(attempt: number): LiveCall | undefined {
    return this.live.find((each) => each.record.attempt === attempt);
  }

  /** Who would be called beside a call, or after one that broke. `instead`: the call that is given up for it, and why. */
  next(
    role: CallRole,
    now: Instant,
    instead?: { readonly call: LiveCall; readonly failure: UpstreamFailure },
  ): Choice | NoChoice {
    const isBack =
      instead !== undefined && isReturned(instead.call.record.candidate, instead.failure);
    const choice = this.#ask(role, this.left() + (isBack ? 1 : 0), neverHeld, now);
    return choice.candidate === undefined && choice.kind === "hold" ? noPlace : choice;
  }

  /** Who is called next where nobody is at work: the request may be held until there is a place. */
  nextOrHold(role: CallRole, limits: HoldLimits, now: Instant): Choice | NoChoice | Hold {
    const choice = this.#ask(role, this.left(), limits, now);
    const isHold = choice.candidate === undefined && choice.kind === "hold";
    return isHold && limits.holdLeftMs <= 0 ? noPlace : choice;
  }

  #ask(
    role: CallRole,
    callsLeft: number,
    { heldMs, holdLeftMs }: HoldLimits,
    now: Instant,
  ): Choice | NoChoice | Hold {
    if (callsLeft <= 0) return noCallLeft;
    return this.#ports.next({ excluded: this.#excluded, callsLeft, role, heldMs, holdLeftMs }, now);
  }

  /** `heldMs`: what of the time to the first token is gone already. */
  open(choice: Choice, role: CallRole, heldMs: number, now: Instant): LiveCall {
    const attempt = this.records.length + 1;
    const call = new LiveCall({ attempt, choice, role, heldMs, now }, this.#budgets);
    this.#counted += 1;
    this.#excluded.push(choice.candidate.slot);
    this.records.push(call.record);
    this.live.push(call);
    this.#ports.started(choice.candidate, now);
    return call;
  }

  end(
    call: LiveCall,
    outcome: AttemptEnd["outcome"],
    failure: UpstreamFailure | undefined,
    now: Instant,
  ): void {
    const { record } = call;
    record.outcome = outcome;
    record.failure = failure;
    record.endedAt = now;
    this.live.splice(this.live.indexOf(call), 1);
    const { candidate, startedAt } = record;
    if (failure !== undefined && isReturned(candidate, failure)) this.#counted -= 1;
    this.#ports.ended({ candidate, outcome, failure, startedAt }, now);
  }

  /** Ends a call from our side; with a failure it is the upstream's doing. */
  cancel(call: LiveCall, failure: UpstreamFailure | undefined, now: Instant): AttemptCommand {
    this.end(call, failure === undefined ? "cancelled" : "failed", failure, now);
    return { kind: "cancel", attempt: call.record.attempt };
  }

  cancelAll(failure: UpstreamFailure | undefined, now: Instant): readonly AttemptCommand[] {
    return [...this.live].map((each) => this.cancel(each, failure, now));
  }
}

/** A peer that took nothing cost one round trip and no work: it counts as no attempt, and the next region is asked. */
function isReturned(candidate: Candidate, failure: UpstreamFailure): boolean {
  if (candidate.kind !== "peer") return false;
  return failure.kind === "region-refused" || isUnsent(failure);
}
