// One request's way through candidates: own region's pools, then other regions, then the last resort.
// It is what the attempt machine asks; it writes each call into the load table and into health.

import { assertNever, type Instant, type Random } from "@meridian/proto/base";
import type { TargetView } from "@meridian/proto/snapshot";
import {
  type AttemptEnd,
  type AttemptPorts,
  type Candidate,
  type Choice,
  healthClass,
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
  readonly table: Table;
  readonly state: HeldState;
  readonly load: LoadTable;
  readonly health: Health;
  readonly random: Random;
  readonly changed: (change: HealthChange) => void;
};

export type PlannedRequest = {
  readonly facts: RequestFacts;
  readonly tenant: TenantPlan;
  readonly resolved: ResolvedRoute;
  /** In the order in which they are tried. */
  readonly targets: readonly TargetView[];
};

const gone: NoChoice = { candidate: undefined, reason: "no candidate is left" };

/** Output that a request without a limit is expected to have, for the count of pending tokens. */
const outputTokensGuess = 256;

/** See the file's header. */
export class RequestPlan implements AttemptPorts {
  readonly #context: PlanContext;
  readonly #request: PlannedRequest;
  readonly #picker: Picker;
  readonly #tokens: number;

  constructor(context: PlanContext, request: PlannedRequest) {
    this.#context = context;
    this.#request = request;
    this.#picker = findPicker(request.resolved.route.balance);
    const { inputTokens, outputTokensMax } = request.facts;
    this.#tokens = inputTokens + (outputTokensMax ?? outputTokensGuess);
  }

  next(request: NextRequest, now: Instant): Choice | NoChoice {
    const { table, state } = this.#context;
    const leaving = state.isDraining(table.region, now);
    // The last call goes abroad where it can: a second local backend failed for a reason that a third may share.
    const lastAfterFailures = request.callsLeft <= 1 && request.excluded.length > 0;
    const remoteFirst = leaving || lastAfterFailures;
    const first = remoteFirst ? this.#remote(request, now) : this.#local(request, now);
    if (first !== undefined) return first;
    const second = remoteFirst ? this.#local(request, now) : this.#remote(request, now);
    return second ?? this.#lastResort(request, now) ?? gone;
  }

  started(candidate: Candidate, now: Instant): void {
    this.#context.load.start(candidate.slot, this.#tokens);
    this.#context.health.started(candidate.slot, now);
  }

  ended(end: AttemptEnd, now: Instant): void {
    const { load, health, changed } = this.#context;
    const { slot } = end.candidate;
    const evidence = evidenceOf(end);
    load.end(slot, this.#tokens, countedAs(evidence));
    const change = health.ended({ slot, evidence, startedAt: end.startedAt }, now);
    if (change !== undefined) changed(change);
  }

  #local(request: NextRequest, now: Instant): Choice | undefined {
    if (!this.#mayStay()) return undefined;
    for (const target of this.#request.targets) {
      const pool = this.#context.table.pools.get(target.model);
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
    return candidate === undefined ? undefined : { candidate, reason: this.#picker.name };
  }

  /** Each other region once, in the order of `rankRegions`. */
  #remote(request: NextRequest, now: Instant): Choice | undefined {
    const open = this.#openRegions(request);
    if (open.length === 0) return undefined;
    const { table, state } = this.#context;
    const models = this.#request.resolved.targets.map((each) => each.model);
    const views = open.map((peer) => ({
      name: peer.name,
      place: peer.place,
      state: state.region(peer.name, models, now),
    }));
    for (const ranked of rankRegions(table.place, views)) {
      const peer = open.find((each) => each.name === ranked.name);
      const candidate = this.#pickPeer(peer?.candidates ?? [], now);
      if (candidate !== undefined) {
        return { candidate, reason: `region ${ranked.standing}, ${Math.round(ranked.km)} km` };
      }
    }
    return undefined;
  }

  /** Regions that this request may still go to: none for one that came from abroad, and only where residency allows. */
  #openRegions(request: NextRequest): readonly PeerRegion[] {
    const { facts, resolved, tenant } = this.#request;
    if (facts.arrivedFrom !== undefined || !goesAbroad(resolved.route)) return [];
    const { peers, regionsByModel } = this.#context.table;
    return peers.filter(
      (peer) =>
        peer.candidates.length > 0 &&
        allowsRegion(tenant.residency, peer.name) &&
        resolved.targets.some((each) => regionsByModel.get(each.model)?.has(peer.name) === true) &&
        !peer.candidates.some((each) => request.excluded.includes(each.slot)),
    );
  }

  #pickPeer(peers: readonly Candidate[], now: Instant): Candidate | undefined {
    const able = peers.filter((each) => this.#context.health.share(each.slot, now) > 0);
    return able[able.length > 1 ? this.#context.random.integer(able.length) : 0];
  }

  /**
   * Nobody is in good standing: try what was ejected, rather than refuse unasked. Backends of this region, then the
   * other regions' proxies. Never what an operator drains. A request from abroad is refused instead: its sender has others.
   */
  #lastResort(request: NextRequest, now: Instant): Choice | undefined {
    const { facts, targets } = this.#request;
    if (facts.arrivedFrom !== undefined) return undefined;
    const { table, state, random } = this.#context;
    const local = this.#mayStay()
      ? targets.flatMap((each) => weighty(table.pools.get(each.model)))
      : [];
    const able = local.filter(
      (each) => !request.excluded.includes(each.slot) && !state.isBackendDraining(each.name, now),
    );
    const abroad = this.#openRegions(request).filter((each) => !state.isDraining(each.name, now));
    const choices = able.length > 0 ? able : abroad.flatMap((each) => each.candidates);
    const candidate = choices[choices.length > 1 ? random.integer(choices.length) : 0];
    return candidate === undefined ? undefined : { candidate, reason: "last resort" };
  }

  #mayStay(): boolean {
    return allowsRegion(this.#request.tenant.residency, this.#context.table.region);
  }
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
