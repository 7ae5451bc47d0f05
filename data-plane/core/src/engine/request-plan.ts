// One request's way through candidates: own region's pools, then other regions, then the last resort.
// It is what the attempt machine asks; it writes each call into the load table and into health.

import { assertNever, type Instant, type Random } from "@meridian/proto/base";
import type { TargetView } from "@meridian/proto/snapshot";
import {
  type AttemptEnd,
  type AttemptPorts,
  type CallBudget,
  type Candidate,
  type Choice,
  healthClass,
  isUnsent,
  type NextRequest,
  type NoChoice,
} from "../attempt/index.ts";
import { findPicker, type Picker } from "../balance/index.ts";
import type { EndedCall, Health, HealthChange } from "../health/index.ts";
import type { LoadTable } from "../load/index.ts";
import { rankRegions } from "../locality/index.ts";
import { allowsRegion, goesAbroad, type ResolvedRoute } from "../route/index.ts";
import type { RequestFacts } from "./engine.ts";
import type { HeldState } from "./region-state.ts";
import type { PeerRegion, Pool, Table, TenantPlan } from "./table.ts";

/** What a plan reads and writes of the engine. */
export type PlanContext = {
  /** The one in force now: a policy may change while a request is tried. */
  readonly table: () => Table;
  readonly state: HeldState;
  readonly load: LoadTable;
  readonly health: Health;
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

const nobodyElse = { names: [], scores: [] };

/** Output that a request without a limit is expected to have, for the count of pending tokens. */
const outputTokensGuess = 256;

/** A limit that a client names is no promise to use it, and the load table counts in 32 bits. */
const tokensMax = 1_000_000;

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
    return this.#choose(request, tenant, now);
  }

  #choose(request: NextRequest, tenant: TenantPlan, now: Instant): Choice | NoChoice {
    const leaving = this.#context.state.isDraining(this.#table.region, now);
    // The last call goes abroad where it can: a second local backend failed for a reason that a third may share.
    const lastAfterFailures = request.callsLeft <= 1 && request.excluded.length > 0;
    const remoteFirst = leaving || lastAfterFailures;
    const local = () => this.#local(request, tenant, now);
    const remote = () => this.#remote(request, tenant, now);
    const inOrder = remoteFirst ? (remote() ?? local()) : (local() ?? remote());
    return inOrder ?? this.#lastResort(request, tenant, now) ?? gone;
  }

  started(candidate: Candidate, now: Instant): void {
    this.#context.load.start(candidate.slot, this.#tokens);
    this.#context.health.started(candidate.slot, now);
  }

  ended(end: AttemptEnd, now: Instant): void {
    const { load, health, changed } = this.#context;
    const { slot } = end.candidate;
    const evidence = evidenceOf(end);
    if (end.candidate.kind === "peer" && !isUntouched(end)) this.#asked.add(end.candidate.region);
    load.end(slot, this.#tokens, countedAs(evidence));
    const change = health.ended({ slot, evidence, startedAt: end.startedAt }, now);
    if (change !== undefined) changed(change);
  }

  slow(_candidate: Candidate, _now: Instant): void {
    // Nothing counts it yet.
  }

  waited(_candidate: Candidate, _ms: number): void {
    // Nothing counts it yet.
  }

  hedgeDelayMs(_candidate: Candidate): number {
    return Number.POSITIVE_INFINITY;
  }

  spend(_budget: CallBudget, _now: Instant): boolean {
    return true;
  }

  #local(request: NextRequest, tenant: TenantPlan, now: Instant): Choice | undefined {
    if (!this.#mayStay(tenant)) return undefined;
    for (const target of this.#request.targets) {
      const pool = this.#table.pools.get(target.model);
      if (pool === undefined) continue;
      const choice = this.#pickFrom(pool, request.excluded, now);
      if (choice !== undefined) return choice;
    }
    return undefined;
  }

  #pickFrom(pool: Pool, excluded: readonly number[], now: Instant): Choice | undefined {
    const { health, load, random, state } = this.#context;
    const slots: number[] = [];
    const weights: number[] = [];
    const places: number[] = [];
    for (let place = 0; place < pool.slots.length; place++) {
      const slot = pool.slots[place] ?? -1;
      if (excluded.includes(slot)) continue;
      const share = health.share(slot, now);
      if (share === 0) continue;
      const name = pool.candidates[place]?.name ?? "";
      if (state.isBackendDraining(name, now)) continue;
      slots.push(slot);
      weights.push((pool.weights[place] ?? 1) * share);
      places.push(place);
    }
    const picked = this.#picker.pick({ slots, weights, load, tokens: this.#tokens }, random);
    const candidate = pool.candidates[places[picked] ?? -1];
    return candidate === undefined
      ? undefined
      : { candidate, reason: this.#picker.name, considered: nobodyElse };
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
    for (const ranked of rankRegions(this.#table.place, views)) {
      const peer = open.find((each) => each.name === ranked.name);
      const candidate = this.#pickPeer(peer?.candidates ?? [], now);
      if (candidate !== undefined) {
        const reason = `region ${ranked.standing}, ${Math.round(ranked.km)} km`;
        return { candidate, reason, considered: nobodyElse };
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
   * other regions' proxies. Never what an operator drains. A request from abroad is refused instead: its sender has others.
   */
  #lastResort(request: NextRequest, tenant: TenantPlan, now: Instant): Choice | undefined {
    const { facts, targets } = this.#request;
    if (facts.arrivedFrom !== undefined) return undefined;
    const { state, random } = this.#context;
    const local = this.#mayStay(tenant)
      ? targets.flatMap((each) => weighty(this.#table.pools.get(each.model)))
      : [];
    const able = untried(local, request).filter((each) => !state.isBackendDraining(each.name, now));
    const open = this.#openRegions(request, tenant);
    const abroad = open.filter((each) => !state.isDraining(each.name, now));
    const choices = able.length > 0 ? able : abroad.flatMap((each) => each.candidates);
    const candidate = choices[choices.length > 1 ? random.integer(choices.length) : 0];
    return candidate === undefined
      ? undefined
      : { candidate, reason: "last resort", considered: nobodyElse };
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

/** No connection came about: the region has not seen the request, and another of its proxies may. */
function isUntouched({ failure }: AttemptEnd): boolean {
  return failure !== undefined && isUnsent(failure);
}

/** A weight of 0 is an operator's word: no requests. */
function weighty(pool: Pool | undefined): readonly Candidate[] {
  return pool?.candidates.filter((_, place) => (pool.weights[place] ?? 0) > 0) ?? [];
}

function evidenceOf(end: AttemptEnd): EndedCall["evidence"] {
  switch (end.outcome) {
    case "complete":
      return "success";
    // The target answered: it lives, whatever it thinks of the request.
    case "rejected":
      return "success";
    case "cancelled":
      return "nothing";
    case "failed": {
      if (end.failure === undefined) return "nothing";
      const health = healthClass(end.failure);
      if (health === "none") return "nothing";
      return health === "connect" ? "connect-failure" : "failure";
    }
    default:
      return assertNever(end.outcome);
  }
}

function countedAs(evidence: EndedCall["evidence"]): "succeeded" | "failed" | "uncounted" {
  if (evidence === "success") return "succeeded";
  return evidence === "nothing" ? "uncounted" : "failed";
}
