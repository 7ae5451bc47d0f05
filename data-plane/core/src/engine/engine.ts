// The engine: everything that one region's proxies decide, behind five calls. Pure: `now` and numbers are arguments.

import type { Instant, Problem, Result } from "@meridian/proto/base";
import type { Snapshot, Version } from "@meridian/proto/gen/snapshot_pb";
import type { StateFrame } from "@meridian/proto/gen/sync_pb";
import type { CanaryView, ProtocolName } from "@meridian/proto/snapshot";
import type { AttemptRecord, Attempts, Candidate, Ending } from "../attempt/index.ts";
import type { HealthChange, ToldVerdict } from "../health/index.ts";
import type { PoolOutlook } from "./pool-outlooks.ts";
import type { Shadow } from "./shadow.ts";

/**
 * The decisions of a proxy.
 *
 * @example
 * engine.apply({ kind: "snapshot", snapshot }, now);
 * const admission = engine.admit(facts, now);
 * if (admission.kind === "admitted") {
 *   const attempts = engine.begin(facts, now);
 *   run(attempts.step({ kind: "start" }, now));
 * }
 */
export type Engine = {
  /** Takes a snapshot or a state frame in force, as a whole or not at all; says why not. */
  readonly apply: (change: Change, now: Instant) => Result<Version | undefined, readonly Problem[]>;
  /** The first half of applying a snapshot: everything that can fail. Before the next one the caller ends this one. */
  readonly prepare: (snapshot: Snapshot) => Result<PreparedSnapshot, readonly Problem[]>;
  /** What another thread's engine learned of a target, by its load-table id. */
  readonly hear: (target: string, change: HealthChange, now: Instant) => void;
  readonly admit: (facts: RequestFacts, now: Instant) => Admission;
  /** The attempts of an admitted request. The caller steps them to their end, then observes the outcome. */
  readonly begin: (facts: RequestFacts, now: Instant) => Attempts;
  /**
   * The next request that should hear of room, by `step({ kind: "room" })`; undefined: none. A request that answered with
   * `hold` waits for it. The caller asks after each step that may have ended a call and after each `apply`, steps what it
   * gets, and asks again until there is none: the one that waits longest comes first, and while those who hear of room
   * find a place, the next one is told. Requests are held by thread; one that is not told asks by itself at `wakeAt`.
   */
  readonly takeRoom: () => Attempts | undefined;
  /** Asked once for an admitted request, after its first call: shall a copy of it go to the model that its route tries out? */
  readonly shadow: (facts: RequestFacts, now: Instant) => Shadow;
  /** How each of this region's pools stands, for other regions. Empty before the first snapshot. */
  readonly outlooks: (now: Instant) => readonly PoolOutlook[];
  /** Once for each request that was admitted, on every ending. */
  readonly observe: (outcome: Outcome, now: Instant) => void;
  readonly report: (now: Instant) => EngineReport;
  /** What is in force, to read; undefined before the first snapshot. */
  readonly serving: () => Serving | undefined;
};

export type Change =
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  | { readonly kind: "state"; readonly frame: StateFrame }
  /** This proxy's own verdicts, by backend: they hold where no control plane speaks, and count where its word ages. */
  | { readonly kind: "verdicts"; readonly verdicts: ReadonlyMap<string, ToldVerdict> };

/** A snapshot that can be put in force; one of the two is called, once. */
export type PreparedSnapshot = {
  readonly commit: (now: Instant) => Version;
  readonly abort: () => void;
};

/** The part of a snapshot that authentication and the list of models need. Immutable. */
export type Serving = {
  readonly version: Version;
  /** `1.42`, as headers show it. */
  readonly revision: string;
  readonly region: string;
  /** true when the policy names no tenant: everyone is "anonymous". */
  readonly open: boolean;
  /** The tenant of a key, by the lower-case hexadecimal SHA-256 of the key. */
  readonly tenantByKeyHash: (sha256: string) => string | undefined;
  /** Models that a tenant may name, aliases included, sorted. */
  readonly modelsFor: (tenant: string) => readonly string[];
  /** URLs to keep connections to: backends and peers. */
  readonly upstreams: readonly Candidate[];
  /** Lower-case names of the headers that routes match or take sessions from. */
  readonly headersRead: readonly string[];
  /** A route chooses by the beginnings of prompts. */
  readonly readsPrefix: boolean;
  /** The smallest question to each model of this region's backends, sorted by model; it is asked as `ownTenant`. */
  readonly smallest: readonly SmallestQuestion[];
};

/** For synthetic requests: of a model's canary where it has one, else a guess that it is a chat model. */
export type SmallestQuestion = { readonly model: string; readonly ask: CanaryView["ask"] };

export type RequestKind = "chat" | "completion" | "embedding";

/** What is known of a request when it is decoded. */
export type RequestFacts = {
  readonly requestId: string;
  readonly tenant: string;
  readonly kind: RequestKind;
  /** The model as the client names it. */
  readonly model: string;
  readonly stream: boolean;
  /** Rough: characters / 4. */
  readonly inputTokens: number;
  /** Undefined: the client sets no limit. */
  readonly outputTokensMax: number | undefined;
  /** Region whose proxy sent this on; undefined: a client of our own. Such a request never goes abroad again. */
  readonly arrivedFrom: string | undefined;
  /** The caller's deadline: milliseconds left at arrival. Undefined: the route's total alone. */
  readonly timeoutMs: number | undefined;
  /** Nothing in the request speaks against going on from a part of its answer. */
  readonly continuable: boolean;
  /** Another region's proxy sent the rest of a broken stream: only backends that take the assistant's words can do it. */
  readonly isContinuation: boolean;
  /** The language that the client speaks. */
  readonly protocol: ProtocolName;
  /** Without a query: /v1/chat/completions */
  readonly path: string;
  /** Of the client's headers those that `Serving.headersRead` names, by lower-case name. */
  readonly headers: RequestHeaders;
  /**
   * Chained hashes of the prompt's leading blocks: equal leading numbers are an equal beginning. 32 bits each, unsigned.
   * Empty: the prompt is short, or nobody reads it (`Serving.readsPrefix`).
   */
  readonly prefix: readonly number[];
  /** Of a request from another region: a longer queue here is not worth it for the sender, who has other ways. */
  readonly queueMaxMs?: number | undefined;
};

export type RequestHeaders = { readonly [name: string]: string };

/** Of a request whose route reads none. */
export const noHeaders: RequestHeaders = Object.freeze({});

export type Admission =
  | {
      readonly kind: "admitted";
      readonly route: string;
      /** The policy's name of the first target's model: bounded, unlike what clients write. */
      readonly model: string;
      readonly reason: string;
    }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export type RefusalReason =
  /** No snapshot yet. */
  | "not-ready"
  | "unknown-model"
  | "unknown-tenant"
  /** No region that the tenant's residency allows can answer. */
  | "residency"
  /** Nobody can answer now. */
  | "no-backend"
  /** It came from another region, and the queue here is longer than what it gains by coming. */
  | "region-full";

/** A refusal, with what the client can do. */
export type Refusal = {
  readonly reason: RefusalReason;
  readonly problem: Problem;
  readonly retryAfterMs: number | undefined;
  /** Of `region-full`: how long the request would wait here. */
  readonly queueMs: number | undefined;
};

/** How a request ended and what it used; the shell's part of the decision record. */
export type Outcome = {
  readonly facts: RequestFacts;
  readonly route: string;
  readonly ending: Ending;
  readonly attempts: readonly AttemptRecord[];
  readonly usage: Usage;
  readonly startedAt: Instant;
  readonly committedAt: Instant | undefined;
};

export type Usage = {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** false: our estimate, as the upstream told nothing. */
  readonly exact: boolean;
};

/** Counters grow from the engine's start and never fall; the reader takes differences. */
export type EngineReport = {
  readonly version: Version | undefined;
  readonly region: string;
  /** An operator's order to leave the region is in force. */
  readonly draining: boolean;
  /** Age of the newest state frame; undefined: there was none. */
  readonly stateAgeMs: number | undefined;
  readonly liveRequests: number;
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Requests of clients that were answered, or failed for a reason of this region's: see edge-evidence.ts. */
  readonly edge: { readonly answered: number; readonly failed: number };
  /** Backends of this region, in the order of their names. */
  readonly backends: readonly TargetReport[];
  /** Other regions' proxies, in the order of their names. */
  readonly peers: readonly TargetReport[];
  /** Models of the policy, in the order of their names. */
  readonly pools: readonly PoolTotals[];
};

/** What own clients ask of one model. */
export type PoolTotals = {
  readonly model: string;
  readonly requests: number;
  /** Expected at arrival, by what such requests of the model turned out to use. */
  readonly tokens: number;
  /** Of the requests that ended: those that another region was asked for. */
  readonly sentAway: number;
  /** Waiting here now for a place, and their tokens. */
  readonly held: number;
  readonly heldTokens: number;
};

export type TargetReport = {
  readonly name: string;
  readonly region: string;
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Calls whose first token was later than the route's slow bound. */
  readonly slow: number;
  readonly inFlight: number;
  readonly pendingTokens: number;
  /** Tokens of requests that ended there, input and output. */
  readonly doneTokens: number;
  /** Requests that wait in the model server, as its metrics say; undefined: it tells nothing, or told it long ago. */
  readonly waiting: number | undefined;
  /** This proxy's own evidence keeps it out. */
  readonly ejected: boolean;
  readonly draining: boolean;
  /** Of `failed`: no connection came about. */
  readonly connectFailed: number;
  /** Waits for a first token that could be judged; `slow` are those that were too long. */
  readonly timed: number;
  /** The verdict that is followed, the control plane's or this proxy's own; undefined: there is none. */
  readonly told: ToldVerdict | undefined;
  /** What the control plane says; undefined: nothing, or nothing lately. */
  readonly heard: ToldVerdict | undefined;
  /** Who probes it; empty: nobody was named. */
  readonly probers: readonly string[];
  /** What the vector of its embedding canary must be near to; empty: none was taken yet. */
  readonly canaryVector: readonly number[];
  /** May be chosen now. */
  readonly available: boolean;
};
