// The life of one request as seen by its attempts: which events happen, which commands follow.
// The machine itself is in attempt-machine.ts; a shell carries the commands out.

import type { Instant } from "@meridian/proto/base";
import type { AssistantPrefix } from "@meridian/proto/snapshot";
import type { UpstreamFailure } from "./failure.ts";

/** The language of a target, as the policy names it. */
export type TargetProtocol = "openai" | "anthropic" | "ollama";

/** Something that may answer: a backend of this region, or another region's proxies. One object per snapshot. */
export type Candidate = {
  readonly kind: "backend" | "peer";
  /** Place of its numbers in the load table. */
  readonly slot: number;
  /** The backend's name; for a peer `region/host:port`. */
  readonly name: string;
  readonly region: string;
  /** Where to call: scheme, host and port, no path. */
  readonly origin: string;
  readonly protocol: TargetProtocol;
  /** The policy's name of the model; empty for a peer, which plans for itself. */
  readonly model: string;
  /** The name to put into the request; undefined: leave what the client wrote. */
  readonly upstreamModel: string | undefined;
  /** How it is told to go on from the assistant's words; `none`: it can't. A peer takes `append`, and asks its own. */
  readonly assistantPrefix: AssistantPrefix;
};

/** A candidate and why it was taken, for the decision record. */
export type Choice = {
  readonly candidate: Candidate;
  readonly reason: string;
  readonly considered: Considered;
  /** Of another region: a queue longer than so many milliseconds is not worth it, and it is to refuse. Undefined: any is. */
  readonly queueMaxMs?: number;
};

/**
 * Who could have been taken, 16 at most, the chosen one always among them; names and scores in one order, less is better.
 * Of backends the picker's score; of regions the milliseconds to the first token that are expected, more where their word
 * ages, and 100,000 more for each step down in standing; of a last resort 0.
 */
export type Considered = { readonly names: readonly string[]; readonly scores: readonly number[] };

/** Why a call is made. */
export type CallRole = "first" | "retry" | "hedge" | "continuation";

/** Budgets of one request in milliseconds, each with its default filled in. */
export type Budgets = {
  readonly connectMs: number;
  /** From the request's last byte to the answer's head. */
  readonly headersMs: number;
  /** A later first token counts as slow against the target, but is waited for. */
  readonly slowMs: number;
  /** From the call to the first semantic token; already scaled by the length of the input. */
  readonly firstTokenMs: number;
  readonly betweenTokensMs: number;
  /** For the request as a whole, all attempts included. */
  readonly totalMs: number;
  /** Calls that count, in all. */
  readonly attempts: number;
  /** A second call may be made beside one that is later than its target usually is. */
  readonly hedges: boolean;
  /** A committed stream that breaks may go on from another candidate. */
  readonly continues: boolean;
  /** How long the request may be held here before it is sent anyway; 0: not at all. All its holds together. */
  readonly holdMs: number;
};

/** What the shell tells the machine. `attempt` numbers calls from 1; news of a call that ended is ignored. */
export type AttemptEvent =
  | { readonly kind: "start" }
  /** The request is being written to an open connection. */
  | { readonly kind: "connected"; readonly attempt: number }
  | { readonly kind: "headers"; readonly attempt: number }
  /** Bytes that mean nothing to a reader (comments, pings, role-only deltas): alive, but no token. */
  | { readonly kind: "activity"; readonly attempt: number }
  /** Semantic content; or an answer that can no longer be held back whole. */
  | {
      readonly kind: "token";
      readonly attempt: number;
      /** What the client has by now, this included, can stand before another candidate's answer. */
      readonly continuable: boolean;
    }
  /** The client reads slower than the upstream writes: reading on is put off, and the wait is nobody's but the client's. */
  | { readonly kind: "paused"; readonly attempt: number }
  | { readonly kind: "resumed"; readonly attempt: number }
  /** The answer ended as its protocol says it must. */
  | { readonly kind: "complete"; readonly attempt: number }
  /** The upstream says that the request itself is at fault; its answer is the client's. */
  | { readonly kind: "rejected"; readonly attempt: number }
  | { readonly kind: "failed"; readonly attempt: number; readonly failure: UpstreamFailure }
  | { readonly kind: "client-gone" }
  /** A place may be free now where this request is held; ignored by one that is not. */
  | { readonly kind: "room" }
  /** Time has reached `wakeAt`. */
  | { readonly kind: "tick" };

/** What the shell must do. */
export type AttemptCommand =
  | {
      readonly kind: "call";
      readonly attempt: number;
      readonly choice: Choice;
      /** Two calls live at once while a hedge runs; a continuation's request carries the text so far. */
      readonly role: CallRole;
    }
  /** Nobody is called yet: the request waits here for a place. Told once for each time that it begins to wait. */
  | { readonly kind: "hold" }
  /** Stop this call at once; nothing more is heard of it. */
  | { readonly kind: "cancel"; readonly attempt: number }
  /** Send the client what is held of this attempt, and from now on everything as it comes. */
  | { readonly kind: "commit"; readonly attempt: number }
  /** As commit, for a stream that the client has the first part of: this attempt speaks on from there. */
  | { readonly kind: "splice"; readonly attempt: number }
  | { readonly kind: "finish"; readonly ending: Ending };

/** How a request ended. */
export type Ending =
  | { readonly kind: "complete"; readonly attempt: number }
  /** The upstream's own refusal of the request is passed on. */
  | { readonly kind: "rejected"; readonly attempt: number }
  /** Nothing was sent yet: a proper error with status. */
  | { readonly kind: "refused"; readonly cause: RefusalCause }
  /** Something was sent already: the protocol's error frame, then an aborted connection. */
  | { readonly kind: "broken"; readonly attempt: number; readonly failure: UpstreamFailure }
  | { readonly kind: "client-gone" };

/** Why nobody answered. */
export type RefusalCause = {
  /** The failure of the last attempt; undefined when there was nobody to ask. */
  readonly last: UpstreamFailure | undefined;
  /** Why no further candidate was found. */
  readonly reason: string;
  /** The least time after which somebody may answer; undefined: not known. */
  readonly retryAfterMs: number | undefined;
};

/** One call in the decision record. */
export type AttemptRecord = {
  readonly attempt: number;
  readonly candidate: Candidate;
  readonly reason: string;
  readonly role: CallRole;
  readonly considered: Considered;
  readonly startedAt: Instant;
  /** The head of the answer came. */
  readonly headersAt: Instant | undefined;
  readonly firstTokenAt: Instant | undefined;
  readonly endedAt: Instant | undefined;
  readonly outcome: "running" | "complete" | "rejected" | "cancelled" | "failed";
  readonly failure: UpstreamFailure | undefined;
  /** Its first token was later than the slow bound, or had not come by then. */
  readonly slow: boolean;
};

/**
 * The attempts of one request. Each `step` takes one event and returns what to do, in order.
 *
 * @example
 * let commands = attempts.step({ kind: "start" }, now);      // [{ kind: "call", attempt: 1, choice, role: "first" }]
 * commands = attempts.step({ kind: "failed", attempt: 1, failure }, now); // [{ kind: "call", attempt: 2, … }]
 * commands = attempts.step({ kind: "token", attempt: 2, continuable: false }, now); // [{ kind: "commit", attempt: 2 }]
 * commands = attempts.step({ kind: "complete", attempt: 2 }, now);        // [{ kind: "finish", ending }]
 */
export type Attempts = {
  readonly step: (event: AttemptEvent, now: Instant) => readonly AttemptCommand[];
  /** When a "tick" is due; Infinity when none is. */
  readonly wakeAt: () => Instant;
  /** When the request's whole time is over; Infinity before the start. */
  readonly deadlineAt: () => Instant;
  /** Something was sent, and the request is not at its end. */
  readonly committed: () => boolean;
  /** A stream that breaks may be gone on with: its request and its text so far must be kept. */
  readonly mayContinue: () => boolean;
  readonly finished: () => boolean;
  /** How long the request was held so far, in milliseconds. */
  readonly heldMs: (now: Instant) => number;
  readonly records: () => readonly AttemptRecord[];
};

/** Where the machine finds candidates and tells what became of them: the engine, or a test's fake. */
export type AttemptPorts = {
  /** The best candidate that is none of `excluded` (slots); or why there is none; or that it is better to wait here. */
  readonly next: (request: NextRequest, now: Instant) => Choice | NoChoice | Hold;
  /** The request begins to wait, as `next` proposed. */
  readonly held: (now: Instant) => void;
  /** It waits no more: it is called for, refused, or left. Once for each `held`. */
  readonly released: (now: Instant) => void;
  readonly started: (candidate: Candidate, now: Instant) => void;
  /** Called once for each `started`. */
  readonly ended: (end: AttemptEnd, now: Instant) => void;
  /** The slow bound passed without a token; the call goes on. At most once for each `started`. */
  readonly slow: (candidate: Candidate, now: Instant) => void;
  /** The first token came, or a call was cut because another one spoke first. */
  readonly waited: (candidate: Candidate, wait: Wait, now: Instant) => void;
  /** After so long a first token is later than this candidate's usually is; Infinity: not known well enough. */
  readonly slowAfterMs: (candidate: Candidate) => number;
  /** How long this candidate may take before a second call is made beside it; Infinity: not known well enough. */
  readonly hedgeDelayMs: (candidate: Candidate) => number;
  /** Takes one call from a budget. false: it is spent, and the call must not be made. */
  readonly spend: (budget: CallBudget, now: Instant) => boolean;
};

/** How long a first token was waited for. */
export type Wait = {
  readonly ms: number;
  /** It had not come by then. */
  readonly isCut: boolean;
  /** `slow` was told of it. */
  readonly isSlow: boolean;
};

/** Calls beyond a request's first one, as a share of requests. */
export type CallBudget = "retry" | "hedge";

export type NextRequest = {
  /** Slots that were called already. */
  readonly excluded: readonly number[];
  /** Calls that may still be made, this one included. */
  readonly callsLeft: number;
  readonly role: CallRole;
  /** How long the request was held so far. */
  readonly heldMs: number;
  /** How much longer it may be; 0: it is called for now or never, and a `Hold` would be taken for a refusal. */
  readonly holdLeftMs: number;
};

/** Everybody who could answer has a queue of its own, and the wait here is not longer than there. */
export type Hold = {
  readonly kind: "hold";
  readonly candidate: undefined;
  readonly reason: string;
  /** Ask again then at the latest, if no room is told of before. */
  readonly askAt: Instant;
};

/** Nobody is left. */
export type NoChoice = {
  readonly kind: "none";
  readonly candidate: undefined;
  readonly reason: string;
  /** The least wait that those who are full have asked for; undefined: nobody did. */
  readonly retryAfterMs: number | undefined;
};

/** What became of a call. */
export type AttemptEnd = {
  readonly candidate: Candidate;
  readonly outcome: "complete" | "rejected" | "cancelled" | "failed";
  readonly failure: UpstreamFailure | undefined;
  readonly startedAt: Instant;
};
