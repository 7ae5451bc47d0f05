// One request's way through candidates: a backend of the own region that has room; else another region that gains enough, or
// a wait here for a place; and the last resort (docs/choosing.md). What the attempt machine asks, and tells of each call.

import type { Instant } from "@meridian/proto/base";
import type { TargetView } from "@meridian/proto/snapshot";
import {
  type AttemptEnd,
  type AttemptPorts,
  type Attempts,
  type CallBudget,
  type Candidate,
  type Choice,
  type Hold,
  isUnsent,
  type NextRequest,
  type NoChoice,
  type Wait,
} from "../attempt/index.ts";
import {
  findPicker,
  type Picker,
  type Shortlist,
  sessionSlot,
  type Work,
} from "../balance/index.ts";
import type { WaitKind } from "../health/index.ts";
import { allowsRegion, type ResolvedRoute, sessionOf } from "../route/index.ts";
import { CallsUnderWay } from "./calls-under-way.ts";
import type { RequestFacts } from "./engine.ts";
import { countedAs, evidenceOf, noteRoom } from "./evidence.ts";
import { Expectation } from "./expectation.ts";
import type { Ticket } from "./hold-queues.ts";
import { gone, type LastQuestion, lastResort, nobodyLeft } from "./last-resort.ts";
import { expectedOf, localOutlook, poolSlotOf } from "./local-outlook.ts";
import type { PlanContext } from "./plan-context.ts";
import { hitTokensOf, pickFrom, surveyPool } from "./pool-choice.ts";
import {
  bestRegion,
  gainingRegion,
  type RemoteChoice,
  type RemoteQuestion,
} from "./region-choice.ts";
import { needsPrefix, promisedMs, waitKindOf, workOf } from "./request-work.ts";
import type { Pool, Table, TenantPlan } from "./table.ts";

export type PlannedRequest = {
  readonly facts: RequestFacts;
  readonly resolved: ResolvedRoute;
  /** In the order in which they are tried. Never empty. */
  readonly targets: readonly TargetView[];
};

/** A held request asks again by itself after so long: the first of its line, and those behind it. */
const askAgainMs = { first: 25, behind: 100 } as const;

const nobodyAsked: ReadonlySet<string> = new Set();

/** Who is asked about a hold. */
type Waiting = { readonly pool: Pool; readonly request: NextRequest; readonly tenant: TenantPlan };

/** See the file's header. */
export class RequestPlan implements AttemptPorts {
  readonly #context: PlanContext;
  readonly #request: PlannedRequest;
  readonly #picker: Picker;
  readonly #work: Work;
  readonly #underWay: CallsUnderWay;
  readonly #expectation: Expectation;
  /** undefined: a whole answer, whose time depends on its length, which nobody knows before. */
  readonly #kind: WaitKind | undefined;
  /** The one that it was drawn for. */
  readonly #model: string;
  /** undefined: the route has no sessions, or the client names none. */
  readonly #session: number | undefined;
  #attempts: Attempts | undefined;
  #table: Table;
  /** Regions that took the request, or might have: each is asked once. */
  #asked: Set<string> | undefined;
  /** While it is held. */
  #ticket: Ticket | undefined;
  #heldSlot = 0;

  constructor(context: PlanContext, request: PlannedRequest) {
    this.#context = context;
    this.#request = request;
    this.#table = context.table();
    this.#picker = findPicker(request.resolved.route.balance);
    this.#work = workOf(request.facts);
    this.#underWay = new CallsUnderWay(context.load);
    this.#kind = waitKindOf(request.facts);
    this.#expectation = new Expectation(context, this.#kind);
    this.#model = request.targets[0]?.model ?? "";
    this.#session = sessionOf(request.resolved.route, request.facts);
  }

  /** Whose plan it is; told before the first question. */
  belongTo(attempts: Attempts): void {
    this.#attempts = attempts;
  }

  next(request: NextRequest, now: Instant): Choice | NoChoice | Hold {
    this.#table = this.#context.table();
    const tenant = this.#table.tenants.get(this.#request.facts.tenant);
    // The policy in force no longer knows the tenant: nothing more is sent for it.
    if (tenant === undefined) return gone;
    const choice = this.#choose(request, tenant, now);
    if (choice !== undefined) return choice;
    return nobodyLeft(this.#context, this.#lastQuestion(request, tenant), now);
  }

  held(): void {
    const { holds, load } = this.#context;
    const attempts = this.#attempts;
    if (attempts === undefined) return;
    const { tokens } = this.#work;
    this.#heldSlot = this.#table.poolSlots.get(this.#model) ?? 0;
    load.start(this.#heldSlot, tokens);
    const isPicky = attempts.records().length > 0 || this.#request.facts.isContinuation;
    this.#ticket = holds.join({ attempts, model: this.#model, tokens, isPicky });
  }

  released(): void {
    const { holds, load } = this.#context;
    if (this.#ticket === undefined) return;
    holds.leave(this.#ticket);
    this.#ticket = undefined;
    load.end(this.#heldSlot, this.#work.tokens, "uncounted");
    // Whoever stands behind it is the first now, and there may be more than one place.
    holds.open();
  }

  started(candidate: Candidate, now: Instant): void {
    const { calls, health, load, sentAway } = this.#context;
    const { slot } = candidate;
    const { tokens, promptTokens } = this.#work;
    const own = this.#ownTokens(candidate);
    // Of a whole answer nobody tells when its first token came: what it waits for is not known.
    const awaited = this.#kind === undefined ? 0 : own;
    const ahead = load.awaitedTokens(slot);
    this.#underWay.started(slot, awaited, tokens - promptTokens + own - awaited);
    calls.buckets.take(slot, tokens, now);
    if (candidate.kind === "backend") {
      this.#expectation.calls(slot, ahead + own, now);
      // At once, not when it has answered: a sibling that comes meanwhile belongs there, too.
      calls.prefixes.learn(this.#request.facts.prefix, slot);
    } else {
      sentAway.sent(this.#model, candidate.region, tokens, now);
    }
    health.started(slot, now);
  }

  ended(end: AttemptEnd, now: Instant): void {
    const { load, health, changed, calls, holds, times } = this.#context;
    const { candidate, startedAt } = end;
    const { slot } = candidate;
    const evidence = evidenceOf(end);
    this.#underWay.ended(slot, countedAs(evidence));
    if (evidence === "connect-failure") load.note(slot, "connectFailed");
    if (candidate.kind === "peer") {
      this.#endedAbroad(end, now);
    } else {
      if (end.outcome === "complete") times.ended(slot, now - startedAt, this.#work.tokens);
      holds.open();
    }
    noteRoom(end, calls.saturation, now);
    const change = health.ended({ slot, evidence, startedAt }, now);
    if (change !== undefined) changed(change);
  }

  slow(candidate: Candidate): void {
    // Of whole answers the quick ones are not counted: the late ones alone would make any backend slow.
    if (this.#kind === undefined || candidate.slot === this.#expectation.queuedSlot) return;
    const { load } = this.#context;
    load.note(candidate.slot, "slow");
    load.note(candidate.slot, "timed");
  }

  slowAfterMs(candidate: Candidate): number {
    if (this.#kind === undefined) return Number.POSITIVE_INFINITY;
    const { inputTokens } = this.#request.facts;
    return this.#context.baselines.boundMs(candidate.slot, this.#kind, inputTokens);
  }

  waited(candidate: Candidate, { ms, isCut, isSlow }: Wait, now: Instant): void {
    const kind = this.#kind;
    if (kind === undefined) return;
    const { slot } = candidate;
    const { baselines, calls, health, load } = this.#context;
    if (this.#request.resolved.route.hedge !== undefined) calls.times.learn(slot, kind, ms);
    if (isCut) return;
    this.#underWay.spoke(slot);
    this.#expectation.came(slot, ms, now);
    if (slot === this.#expectation.queuedSlot) return;
    if (!isSlow) load.note(slot, "timed");
    if (candidate.kind === "peer") return;
    const { inputTokens } = this.#request.facts;
    if (health.isFrozen(slot)) baselines.distrust(slot);
    else baselines.learn(slot, kind, { inputTokens, firstTokenMs: ms }, now);
  }

  hedgeDelayMs(candidate: Candidate): number {
    const { hedge } = this.#request.resolved.route;
    if (hedge === undefined || this.#kind === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(hedge.minMs, this.#context.calls.times.p95Ms(candidate.slot, this.#kind));
  }

  spend(budget: CallBudget, now: Instant): boolean {
    return this.#context.calls.budgets.spend(budget, now);
  }

  #choose(request: NextRequest, tenant: TenantPlan, now: Instant): Choice | Hold | undefined {
    const { role, callsLeft } = request;
    // The last call goes abroad where it can: a second local backend failed for a reason that a third may share.
    const isLast = role === "retry" && callsLeft <= 1;
    const leavesFirst = isLast || this.#context.state.isDraining(this.#table.region, now);
    const away = leavesFirst ? this.#remote(request, tenant, now) : undefined;
    if (away !== undefined) return away;
    const local = this.#mayStay(tenant) ? this.#local(request, now) : undefined;
    if (local !== undefined && "candidate" in local) {
      return this.#overtake(local, request, tenant, now) ?? local;
    }
    if (local !== undefined) {
      const waiting = this.#wait({ pool: local, request, tenant }, now);
      // A second call beside the first is no reason to queue.
      if (waiting !== undefined || role === "hedge") return waiting;
    }
    const remote = leavesFirst ? undefined : this.#remote(request, tenant, now);
    if (remote !== undefined || role === "hedge") return remote;
    return lastResort(this.#context, this.#lastQuestion(request, tenant), now);
  }

  /** Somebody here who has room; or a pool in which somebody would, were it not at work; undefined: nobody stands. */
  #local(request: NextRequest, now: Instant): Choice | Pool | undefined {
    const { load, health, calls, state, holds } = this.#context;
    const { prefix } = this.#request.facts;
    const { excluded, role } = request;
    const continues = needsPrefix(request.role, this.#request.facts);
    const work = this.#work;
    const question = { excluded, continues, work, calls, prefix, load, health, state, now };
    const mustQueue =
      holds.count > 0 &&
      role === "first" &&
      request.holdLeftMs > 0 &&
      holds.isBehind(this.#model, this.#ticket);
    let waiting: Pool | undefined;
    for (const target of this.#request.targets) {
      const pool = this.#table.pools.get(target.model);
      if (pool === undefined) continue;
      const survey = surveyPool(pool, question);
      const choice = mustQueue ? undefined : this.#pickNow(pool);
      if (choice !== undefined) return choice;
      if (survey.hasQueue || survey.hasRoom) waiting ??= pool;
    }
    return waiting;
  }

  /** Another region, where the backend that has a place here has so many prompts before it that the promise would break. */
  #overtake(
    { candidate }: Choice,
    request: NextRequest,
    tenant: TenantPlan,
    now: Instant,
  ): Choice | undefined {
    const { load, times } = this.#context;
    const ahead = load.awaitedTokens(candidate.slot);
    // Or nobody would ever learn that what was slow is quick again.
    if (ahead <= 0 && !times.isTried(candidate.slot, now)) return undefined;
    const own = this.#ownTokens(candidate);
    const asked = { kind: this.#kind ?? "stream", tokens: ahead + own } as const;
    const plainMs = expectedOf(this.#context, candidate.slot, asked);
    if (plainMs === undefined || request.role === "hedge") return undefined;
    const firstTokenMs = plainMs + times.errorMs(candidate.slot, plainMs, now);
    if (request.heldMs + firstTokenMs <= promisedMs(this.#request)) return undefined;
    const here = { firstTokenMs, isSession: this.#session !== undefined };
    const question = this.#remoteQuestion(request, tenant);
    return this.#leave(gainingRegion(this.#context, question, here, now));
  }

  /** What of the prompt is to be computed there: at least its last token, which yields the first of the answer. */
  #ownTokens({ kind, slot }: Candidate): number {
    const { prefixes } = this.#context.calls;
    const hits = kind === "backend" ? hitTokensOf(prefixes, this.#request.facts.prefix, slot) : 0;
    return Math.max(1, Math.round(this.#work.promptTokens - hits));
  }

  /** Everybody is at work: gone elsewhere for a gain that counts, held here while there is time, or sent all the same. */
  #wait({ pool, request, tenant }: Waiting, now: Instant): Choice | Hold | undefined {
    const { role, heldMs, holdLeftMs } = request;
    if (role === "hedge") return undefined;
    const { survey } = pool;
    const isFull = !survey.hasBusy && !survey.hasRoom;
    // Full by their own word or the policy's, and for longer than it may wait.
    if (isFull && survey.roomInMs > holdLeftMs) return undefined;
    const { holds } = this.#context;
    const local = { work: this.#work, kind: this.#kind ?? "stream", ticket: this.#ticket } as const;
    const here = localOutlook(this.#context, pool, local, now);
    if (heldMs + here.firstTokenMs > promisedMs(this.#request)) {
      const staying = { firstTokenMs: here.firstTokenMs, isSession: this.#session !== undefined };
      const question = this.#remoteQuestion(request, tenant);
      const away = this.#leave(gainingRegion(this.#context, question, staying, now));
      if (away !== undefined) return away;
    }
    const isIn = this.#ticket !== undefined;
    if (holdLeftMs > 0 && (isIn || !holds.isFull(this.#model))) {
      const ms = here.firstTokenMs - here.errorMs;
      if (here.queueMs !== undefined)
        this.#expectation.holds(poolSlotOf(this.#context, pool), ms, now);
      return this.#hold(pool, now);
    }
    const choice = this.#pickNow(pool) ?? this.#pickBusy(pool);
    if (choice !== undefined) this.#expectation.queueMs = here.queueMs ?? 0;
    return choice;
  }

  #hold({ survey }: Pool, now: Instant): Hold {
    const isBehind = this.#context.holds.isBehind(this.#model, this.#ticket);
    const waitMs = isBehind ? askAgainMs.behind : askAgainMs.first;
    return {
      kind: "hold",
      candidate: undefined,
      reason: "every model server here is at work",
      askAt: now + Math.min(waitMs, survey.roomInMs),
    };
  }

  #pickNow(pool: Pool): Choice | undefined {
    return this.#pick(pool, pool.survey.open) ?? this.#pick(pool, pool.survey.avoided);
  }

  /** It waits there then: in the server's own queue first, which is known to be moving. */
  #pickBusy(pool: Pool): Choice | undefined {
    const choice = this.#pick(pool, pool.survey.queued) ?? this.#pick(pool, pool.survey.busy);
    this.#expectation.queuedSlot = choice?.candidate.slot ?? -1;
    return choice;
  }

  #pick(pool: Pool, list: Shortlist): Choice | undefined {
    if (list.count === 0) return undefined;
    const { random } = this.#context;
    const session = this.#session;
    const sticky = session === undefined ? undefined : sessionSlot(list, pool.nameHashes, session);
    return pickFrom(pool, list, { picker: this.#picker, random, sticky });
  }

  /** For a request that leaves anyway. */
  #remote(request: NextRequest, tenant: TenantPlan, now: Instant): Choice | undefined {
    return this.#leave(bestRegion(this.#context, this.#remoteQuestion(request, tenant), now));
  }

  #leave(remote: RemoteChoice | undefined): Choice | undefined {
    if (remote === undefined) return undefined;
    this.#expectation.leaves(remote.choice.candidate.slot, remote.expectedMs);
    return remote.choice;
  }

  #endedAbroad({ candidate, failure }: AttemptEnd, now: Instant): void {
    const { calls, sentAway } = this.#context;
    // No connection came about: the region has not seen the request, and another of its proxies may.
    const isUntouched = failure !== undefined && isUnsent(failure);
    if (!isUntouched) {
      this.#asked ??= new Set();
      this.#asked.add(candidate.region);
    }
    const isRefused = failure?.kind === "region-refused";
    if (!isRefused && !isUntouched) return;
    sentAway.returned(this.#model, candidate.region, this.#work.tokens, now);
    if (isRefused && failure.retryAfterMs !== undefined) {
      calls.paths.noteQueue(candidate.region, this.#model, failure.retryAfterMs, now);
    }
  }

  #remoteQuestion({ excluded }: NextRequest, tenant: TenantPlan): RemoteQuestion {
    const { facts, resolved } = this.#request;
    return {
      facts,
      resolved,
      tenant,
      model: this.#model,
      work: this.#work,
      kind: this.#kind ?? "stream",
      asked: this.#asked ?? nobodyAsked,
      excluded,
    };
  }

  #lastQuestion(request: NextRequest, tenant: TenantPlan): LastQuestion {
    const pools = this.#request.targets.flatMap((each) => this.#table.pools.get(each.model) ?? []);
    return {
      remote: this.#remoteQuestion(request, tenant),
      pools: this.#mayStay(tenant) ? pools : [],
      continues: needsPrefix(request.role, this.#request.facts),
    };
  }

  #mayStay(tenant: TenantPlan): boolean {
    return allowsRegion(tenant.residency, this.#table.region);
  }
}
