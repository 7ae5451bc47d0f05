// One request's way through candidates: own region's pools, then other regions, then the last resort.
// It is what the attempt machine asks; it writes each call into the load table, into health and into what calls teach.

import type { Instant, Random } from "@meridian/proto/base";
import type { TargetView } from "@meridian/proto/snapshot";
import {
  type AttemptEnd,
  type AttemptPorts,
  type CallBudget,
  type Candidate,
  type Choice,
  type Considered,
  isUnsent,
  type NextRequest,
  type NoChoice,
  type Wait,
} from "../attempt/index.ts";
import { findPicker, type Picker } from "../balance/index.ts";
import type { Baselines, Health, HealthChange, WaitKind } from "../health/index.ts";
import type { LoadTable } from "../load/index.ts";
import { type RankedRegion, rankRegions } from "../locality/index.ts";
import { allowsRegion, goesAbroad, type ResolvedRoute } from "../route/index.ts";
import type { CallKnowledge } from "./call-knowledge.ts";
import type { RequestFacts } from "./engine.ts";
import { countedAs, evidenceOf, noteRoom } from "./evidence.ts";
import { pickFromPool } from "./pool-choice.ts";
import type { HeldState } from "./region-state.ts";
import type { PeerRegion, Pool, Table, TenantPlan } from "./table.ts";

/** What a plan reads and writes of the engine. */
export type PlanContext = {
  /** The one in force now: a policy may change while a request is tried. */
  readonly table: () => Table;
  readonly state: HeldState;
  readonly load: LoadTable;
  readonly health: Health;
  readonly baselines: Baselines;
  readonly calls: CallKnowledge;
  readonly random: Random;
  readonly changed: (change: HealthChange) => void;
};

export type PlannedRequest = {
  readonly facts: RequestFacts;
  readonly resolved: ResolvedRoute;
  /** In the order in which they are tried. */
  readonly targets: readonly TargetView[];
};

const gone: NoChoice = {
  candidate: undefined,
  reason: "no candidate is left",
  retryAfterMs: undefined,
};

/** Output that a request without a limit is expected to have, for the count of pending tokens. */
const outputTokensGuess = 256;

/** A limit that a client names is no promise to use it, and the load table counts in 32 bits. */
const tokensMax = 1_000_000;

/** What a step down in a region's standing weighs against distance, in the decision record alone. */
const kmPerStanding = { available: 0, unknown: 100_000, exhausted: 200_000 } as const;

/** See the file's header. */
export class RequestPlan implements AttemptPorts {
  readonly #context: PlanContext;
  readonly #request: PlannedRequest;
  readonly #picker: Picker;
  readonly #tokens: number;
  /** Regions that took the request, or might have: each is asked once. */
  readonly #asked = new Set<string>();
  #table: Table;

  constructor(context: PlanContext, request: PlannedRequest) {
    this.#context = context;
    this.#request = request;
    this.#table = context.table();
    this.#picker = findPicker(request.resolved.route.balance);
    const { inputTokens, outputTokensMax } = request.facts;
    this.#tokens = Math.min(tokensMax, inputTokens + (outputTokensMax ?? outputTokensGuess));
  }

  next(request: NextRequest, now: Instant): Choice | NoChoice {
    this.#table = this.#context.table();
    const tenant = this.#table.tenants.get(this.#request.facts.tenant);
    // The policy in force no longer knows the tenant: nothing more is sent for it.
    if (tenant === undefined) return gone;
    return this.#choose(request, tenant, now) ?? this.#nobody(tenant, now);
  }

  started(candidate: Candidate, now: Instant): void {
    this.#context.load.start(candidate.slot, this.#tokens);
    this.#context.health.started(candidate.slot, now);
  }

  ended(end: AttemptEnd, now: Instant): void {
    const { load, health, changed, calls } = this.#context;
    const { candidate, failure, startedAt } = end;
    const { slot } = candidate;
    const evidence = evidenceOf(end);
    // No connection came about: the region has not seen the request, and another of its proxies may.
    const isUntouched = failure !== undefined && isUnsent(failure);
    if (candidate.kind === "peer" && !isUntouched) this.#asked.add(candidate.region);
    load.end(slot, this.#tokens, countedAs(evidence));
    if (evidence === "connect-failure") load.note(slot, "connectFailed");
    noteRoom(end, calls.saturation, now);
    const change = health.ended({ slot, evidence, startedAt }, now);
    if (change !== undefined) changed(change);
  }

  slow(candidate: Candidate): void {
    // The quick ones of these are not counted: the late ones alone would make any backend slow.
    if (this.#waitKind() === undefined) return;
    const { load } = this.#context;
    load.note(candidate.slot, "slow");
    load.note(candidate.slot, "timed");
  }

  slowAfterMs(candidate: Candidate): number {
    const kind = this.#waitKind();
    if (kind === undefined) return Number.POSITIVE_INFINITY;
    const { inputTokens } = this.#request.facts;
    return this.#context.baselines.boundMs(candidate.slot, kind, inputTokens);
  }

  waited(candidate: Candidate, { ms, isCut, isSlow }: Wait, now: Instant): void {
    const kind = this.#waitKind();
    if (kind === undefined) return;
    const { slot } = candidate;
    const { baselines, calls, health, load } = this.#context;
    if (this.#request.resolved.route.hedge !== undefined) calls.times.learn(slot, kind, ms);
    if (isCut) return;
    if (!isSlow) load.note(slot, "timed");
    if (candidate.kind === "peer" || health.isFrozen(slot)) return;
    const { inputTokens } = this.#request.facts;
    baselines.learn(slot, kind, { inputTokens, firstTokenMs: ms }, now);
  }

  hedgeDelayMs(candidate: Candidate): number {
    const { hedge } = this.#request.resolved.route;
    if (hedge === undefined) return Number.POSITIVE_INFINITY;
    const kind = this.#waitKind();
    if (kind === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(hedge.minMs, this.#context.calls.times.p95Ms(candidate.slot, kind));
  }

  spend(budget: CallBudget, now: Instant): boolean {
    return this.#context.calls.budgets.spend(budget, now);
  }

  /** undefined: a whole answer, whose time depends on its length, which nobody knows before. */
  #waitKind(): WaitKind | undefined {
    const { kind, stream } = this.#request.facts;
    if (kind === "embedding") return "embedding";
    return stream ? "stream" : undefined;
  }

  #choose(request: NextRequest, tenant: TenantPlan, now: Instant): Choice | undefined {
    const leaving = this.#context.state.isDraining(this.#table.region, now);
    // The last call goes abroad where it can: a second local backend failed for a reason that a third may share.
    const lastAfterFailures = request.role === "retry" && request.callsLeft <= 1;
    const remoteFirst = leaving || lastAfterFailures;
    const local = () => this.#local(request, tenant, now);
    const remote = () => this.#remote(request, tenant, now);
    const inOrder = remoteFirst ? (remote() ?? local()) : (local() ?? remote());
    return inOrder ?? this.#lastResort(request, tenant, now);
  }

  #local(request: NextRequest, tenant: TenantPlan, now: Instant): Choice | undefined {
    if (!this.#mayStay(tenant)) return undefined;
    const { load, health, calls, random, state } = this.#context;
    for (const target of this.#request.targets) {
      const pool = this.#table.pools.get(target.model);
      if (pool === undefined) continue;
      const choice = pickFromPool(pool, {
        excluded: request.excluded,
        continues: this.#needsPrefix(request),
        saturation: calls.saturation,
        tokens: this.#tokens,
        picker: this.#picker,
        load,
        health,
        random,
        state,
        now,
      });
      if (choice !== undefined) return choice;
    }
    return undefined;
  }

  /** Each other region once, in the order of `rankRegions`. */
  #remote(request: NextRequest, tenant: TenantPlan, now: Instant): Choice | undefined {
    const open = this.#openRegions(request, tenant);
    if (open.length === 0) return undefined;
    const { state } = this.#context;
    const models = this.#request.resolved.targets.map((each) => each.model);
    const views = open.map((peer) => ({
      name: peer.name,
      place: peer.place,
      state: state.region(peer.name, models, now),
    }));
    const order = rankRegions(this.#table.place, views);
    for (const ranked of order) {
      const peer = open.find((each) => each.name === ranked.name);
      const candidate = this.#pickPeer(peer?.candidates ?? [], now);
      if (candidate !== undefined) {
        const reason = `region ${ranked.standing}, ${Math.round(ranked.km)} km`;
        return { candidate, reason, considered: consideredRegions(order) };
      }
    }
    return undefined;
  }

  /** Regions that this request may still go to: none for one that came from abroad, and only where residency allows. */
  #openRegions(request: NextRequest, tenant: TenantPlan): readonly PeerRegion[] {
    const { facts, resolved } = this.#request;
    if (facts.arrivedFrom !== undefined || !goesAbroad(resolved.route)) return [];
    const { peers, regionsByModel } = this.#table;
    return peers
      .filter(
        (peer) =>
          !this.#asked.has(peer.name) &&
          allowsRegion(tenant.residency, peer.name) &&
          resolved.targets.some((each) => regionsByModel.get(each.model)?.has(peer.name) === true),
      )
      .map((peer) => ({ ...peer, candidates: untried(peer.candidates, request) }))
      .filter((peer) => peer.candidates.length > 0);
  }

  #pickPeer(peers: readonly Candidate[], now: Instant): Candidate | undefined {
    const able = peers.filter((each) => this.#context.health.share(each.slot, now) > 0);
    return able[able.length > 1 ? this.#context.random.integer(able.length) : 0];
  }

  /**
   * Nobody is in good standing: try what was ejected, rather than refuse unasked. Backends of this region, then the
   * other regions' proxies. Never what an operator drains, nor before the time that a full one has named. A hedge has its
   * first call still, and a request from abroad its sender, who has others.
   */
  #lastResort(request: NextRequest, tenant: TenantPlan, now: Instant): Choice | undefined {
    const { facts, targets } = this.#request;
    if (facts.arrivedFrom !== undefined || request.role === "hedge") return undefined;
    const { state, random, calls } = this.#context;
    const local = this.#mayStay(tenant)
      ? targets.flatMap((each) => weighty(this.#table.pools.get(each.model)))
      : [];
    const needsPrefix = this.#needsPrefix(request);
    const able = untried(local, request).filter(
      (each) =>
        !state.isBackendDraining(each.name, now) &&
        !calls.saturation.isFull(each.slot, now) &&
        !(needsPrefix && each.assistantPrefix === "none"),
    );
    const open = this.#openRegions(request, tenant);
    const abroad = open.filter((each) => !state.isDraining(each.name, now));
    const choices = able.length > 0 ? able : abroad.flatMap((each) => each.candidates);
    const candidate = choices[choices.length > 1 ? random.integer(choices.length) : 0];
    return candidate === undefined
      ? undefined
      : { candidate, reason: "last resort", considered: equals(candidate, choices) };
  }

  /** Who asked to be left alone tells how long: then it is worth asking again. */
  #nobody(tenant: TenantPlan, now: Instant): NoChoice {
    const { saturation } = this.#context.calls;
    if (!saturation.any(now) || !this.#mayStay(tenant)) return gone;
    const pools = this.#request.targets.map((each) => weighty(this.#table.pools.get(each.model)));
    const waits = pools.flat().map((each) => saturation.fullForMs(each.slot, now));
    const leastMs = Math.min(...waits.filter((each) => each > 0));
    if (leastMs === Number.POSITIVE_INFINITY) return gone;
    return {
      candidate: undefined,
      reason: "every model server that is left is full",
      retryAfterMs: leastMs,
    };
  }

  /** The body ends with the assistant's words: ours, or those that another region's proxy put there. */
  #needsPrefix(request: NextRequest): boolean {
    return request.role === "continuation" || this.#request.facts.isContinuation;
  }

  #mayStay(tenant: TenantPlan): boolean {
    return allowsRegion(tenant.residency, this.#table.region);
  }
}

function untried(
  candidates: readonly Candidate[],
  { excluded }: NextRequest,
): readonly Candidate[] {
  return candidates.filter((each) => !excluded.includes(each.slot));
}

/** A weight of 0 is an operator's word: no requests. */
function weighty(pool: Pool | undefined): readonly Candidate[] {
  return pool?.candidates.filter((_, place) => (pool.weights[place] ?? 0) > 0) ?? [];
}

function consideredRegions(order: readonly RankedRegion[]): Considered {
  return {
    names: order.map((each) => each.name),
    scores: order.map((each) => Math.round(each.km) + kmPerStanding[each.standing]),
  };
}

function equals(chosen: Candidate, choices: readonly Candidate[]): Considered {
  const others = choices.filter((each) => each !== chosen).slice(0, 15);
  return {
    names: [chosen, ...others].map((each) => each.name),
    scores: [0, ...others.map(() => 0)],
  };
}
