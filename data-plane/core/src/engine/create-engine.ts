// Puts the engine together from its parts.

import {
  assert,
  err,
  type Instant,
  ok,
  type Problem,
  problem,
  type Random,
  type Result,
} from "@meridian/proto/base";
import type { Snapshot, Version } from "@meridian/proto/gen/snapshot_pb";
import type { StateFrame } from "@meridian/proto/gen/sync_pb";
import {
  compareVersions,
  formatVersion,
  type RegionView,
  readSnapshot,
} from "@meridian/proto/snapshot";
import { AttemptMachine, type Attempts, type Candidate } from "../attempt/index.ts";
import {
  agedVerdict,
  Baselines,
  type HealthChange,
  type HealthPool,
  PassiveHealth,
  type Standing,
  type ToldVerdict,
} from "../health/index.ts";
import { type LoadShare, ownLoad } from "../load/index.ts";
import { CallTimes, FirstTokenFits, SentAway } from "../locality/index.ts";
import { allowsRegion, goesAbroad, orderTargets, type ResolvedRoute } from "../route/index.ts";
import { refusedQueueMs } from "./arrival.ts";
import { type CallKnowledge, forgetSlots, ownCallKnowledge } from "./call-knowledge.ts";
import { noteArrival, noteEnd, poolTotals } from "./demand-counts.ts";
import { edgeEvidence } from "./edge-evidence.ts";
import type {
  Admission,
  Change,
  Engine,
  EngineReport,
  Outcome,
  PreparedSnapshot,
  RequestFacts,
  Serving,
  TargetReport,
} from "./engine.ts";
import { HoldQueues } from "./hold-queues.ts";
import type { PlanContext } from "./plan-context.ts";
import { type PoolOutlook, poolOutlooks } from "./pool-outlooks.ts";
import { refuse, refuseFull } from "./refusals.ts";
import { HeldState, verdictTrust } from "./region-state.ts";
import { budgetsFor } from "./request-budgets.ts";
import { RequestPlan } from "./request-plan.ts";
import { limitBuckets, settleBuckets, workOf } from "./request-work.ts";
import { type Shadow, shadowOf } from "./shadow.ts";
import { compileTable, type Table, type TenantPlan } from "./table.ts";

export type EngineOptions = {
  readonly region: string;
  readonly random: Random;
  /** What the engines of one proxy's threads count in together. Default: a load of its own. */
  readonly load?: LoadShare;
  /** What they learn together: budgets, who is full, who is late. Their instants need one origin. Default: its own. */
  readonly calls?: CallKnowledge;
  /** Told of ejections and returns as they happen, for the log and for sibling threads; the target by its load-table id. */
  readonly onHealthChange?: (target: string, change: HealthChange) => void;
};

/** An engine without a snapshot: it refuses everything until `apply` gave it one. */
export function createEngine(options: EngineOptions): Engine {
  return new RegionEngine(options);
}

class RegionEngine implements Engine {
  readonly #options: EngineOptions;
  readonly #random: Random;
  readonly #shadows: Random;
  readonly #load: LoadShare;
  readonly #health: PassiveHealth;
  readonly #calls: CallKnowledge;
  readonly #state = new HeldState();
  readonly #baselines = new Baselines();
  readonly #context: PlanContext;
  #own: ReadonlyMap<string, ToldVerdict> = new Map();
  #table: Table | undefined;
  /** Proxies of the region, this one included, as far as the buckets know. */
  #sharers = 1;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#random = options.random.fork("choices");
    this.#shadows = options.random.fork("shadows");
    this.#load = options.load ?? ownLoad();
    this.#calls = options.calls ?? ownCallKnowledge(this.#load.table.slots);
    this.#health = new PassiveHealth(options.random.fork("health"));
    this.#context = {
      table: () => this.#inForce(),
      state: this.#state,
      load: this.#load.table,
      health: this.#health,
      baselines: this.#baselines,
      calls: this.#calls,
      times: new CallTimes(),
      fits: new FirstTokenFits(),
      sentAway: new SentAway(),
      holds: new HoldQueues(),
      random: this.#random,
      changed: this.#changed,
    };
  }

  apply(change: Change, now: Instant): Result<Version | undefined, readonly Problem[]> {
    if (change.kind === "snapshot") {
      const prepared = this.prepare(change.snapshot);
      return prepared.kind === "err" ? prepared : ok(prepared.value.commit(now));
    }
    if (change.kind === "state") this.#takeState(change.frame, now);
    else this.#own = change.verdicts;
    this.#judgeBackends(now);
    this.#context.holds.open();
    return ok(this.#table?.serving.version);
  }

  admit(facts: RequestFacts, now: Instant): Admission {
    const table = this.#table;
    if (table === undefined) return refuse("not-ready");
    const tenant = table.tenants.get(facts.tenant);
    if (tenant === undefined) return refuse("unknown-tenant");
    const resolved = table.router.resolve(facts);
    if (resolved === undefined) return refuse("unknown-model", facts.model);
    if (!residencyHolds(table, facts, tenant, resolved)) return refuse("residency");
    const queueMs = refusedQueueMs(this.#context, facts, resolved, now);
    if (queueMs !== undefined) return refuseFull(queueMs);
    const model = resolved.targets[0]?.model ?? "";
    return { kind: "admitted", route: resolved.route.name, model, reason: resolved.reason };
  }

  begin(facts: RequestFacts, now: Instant): Attempts {
    const table = this.#table;
    const tenant = table?.tenants.get(facts.tenant);
    const resolved = table?.router.resolve(facts);
    assert(
      table !== undefined && tenant !== undefined && resolved !== undefined,
      "only an admitted request begins",
    );
    this.#load.totals.begun();
    const targets = orderTargets(resolved.targets, this.#random);
    noteArrival(this.#load.demand, table, { facts, model: targets[0]?.model });
    if (facts.arrivedFrom === undefined) this.#noteDemand(facts, targets[0]?.model ?? "", now);
    const plan = new RequestPlan(this.#context, { facts, resolved, targets });
    const budgets = budgetsFor(facts, resolved, table.continuing);
    const { retryBudgetPercent, hedge } = resolved.route;
    this.#calls.budgets.deposit("retry", retryBudgetPercent);
    if (hedge !== undefined && budgets.hedges) {
      this.#calls.budgets.deposit("hedge", hedge.budgetPercent);
    }
    const attempts = new AttemptMachine(plan, budgets, this.#random);
    plan.belongTo(attempts);
    return attempts;
  }

  shadow(facts: RequestFacts, now: Instant): Shadow {
    const table = this.#table;
    const tenant = table?.tenants.get(facts.tenant);
    const resolved = table?.router.resolve(facts);
    // The policy has changed since the request was admitted.
    if (tenant === undefined || resolved === undefined) return { kind: "none" };
    return shadowOf(this.#context, { facts, resolved, tenant }, this.#shadows, now);
  }

  outlooks(now: Instant): readonly PoolOutlook[] {
    return this.#table === undefined ? [] : poolOutlooks(this.#context, now);
  }

  takeRoom(): Attempts | undefined {
    return this.#context.holds.take();
  }

  observe(outcome: Outcome, now: Instant): void {
    settleBuckets(this.#calls.buckets, outcome, now);
    const { inputTokens, outputTokens } = outcome.usage;
    this.#load.totals.settled({ inputTokens, outputTokens, edge: edgeEvidence(outcome) });
    if (this.#table !== undefined) noteEnd(this.#load.demand, this.#table, outcome);
  }

  report(now: Instant): EngineReport {
    const targets = [...(this.#table?.targets.values() ?? [])];
    const reports = targets.map((each) => ({ kind: each.kind, report: this.#reportOn(each, now) }));
    const sorted = reports.sort((a, b) => (a.report.name < b.report.name ? -1 : 1));
    const totals = this.#load.totals.read();
    return {
      version: this.#table?.serving.version,
      region: this.#options.region,
      draining: this.#state.isDraining(this.#options.region, now),
      stateAgeMs: this.#state.ageMs(now),
      liveRequests: totals.live,
      requests: totals.requests,
      inputTokens: totals.inputTokens,
      outputTokens: totals.outputTokens,
      edge: { answered: totals.answered, failed: totals.failed },
      backends: sorted.filter((each) => each.kind === "backend").map((each) => each.report),
      peers: sorted.filter((each) => each.kind === "peer").map((each) => each.report),
      pools: this.#table === undefined ? [] : poolTotals(this.#load, this.#table),
    };
  }

  serving(): Serving | undefined {
    return this.#table?.serving;
  }

  /** Once there is a table there always is one. */
  #inForce(): Table {
    const table = this.#table;
    assert(table !== undefined, "nothing is planned before there is a policy");
    return table;
  }

  /** What the region table's shares are shares of. */
  #noteDemand(facts: RequestFacts, model: string, now: Instant): void {
    this.#context.sentAway.arrived(model, workOf(facts).tokens, now);
  }

  readonly #changed = (change: HealthChange): void => {
    const listener = this.#options.onHealthChange;
    if (listener === undefined) return;
    const targets = [...(this.#table?.targets ?? [])];
    const found = targets.find(([, each]) => each.slot === change.slot);
    // A target that the policy dropped meanwhile is nobody's business any more.
    if (found !== undefined) listener(found[0], change);
  };

  hear(target: string, change: HealthChange, now: Instant): void {
    const slot = this.#table?.targets.get(target)?.slot;
    if (slot !== undefined) this.#health.hear({ ...change, slot }, now);
  }

  prepare(snapshot: Snapshot): Result<PreparedSnapshot, readonly Problem[]> {
    const view = readSnapshot(snapshot);
    if (view.kind === "err") return view;
    const refusal = this.#refuseSnapshot(view.value);
    if (refusal !== undefined) return err([refusal]);
    const { slots } = this.#load;
    const { table, problems } = compileTable(view.value, slots);
    if (problems.length > 0) {
      slots.abort();
      return err(problems);
    }
    return ok({ commit: (now) => this.#switchTo(table, now), abort: () => slots.abort() });
  }

  #switchTo(table: Table, now: Instant): Version {
    // A slot may have been another target's: calls that ended late may have left something behind.
    const fresh = this.#load.slots.commit();
    for (const slot of fresh) {
      this.#health.forget(slot);
      this.#baselines.forget(slot);
      this.#context.times.forget(slot);
      this.#context.fits.forget(slot);
      this.#load.demand.forget(slot);
    }
    forgetSlots(this.#calls, fresh);
    this.#table = table;
    this.#sharers = this.#state.proxies(table.region);
    limitBuckets(this.#calls.buckets, table, this.#sharers);
    this.#health.arrange(healthPools(table));
    this.#judgeBackends(now);
    this.#context.sentAway.clear();
    this.#context.holds.open();
    return table.serving.version;
  }

  #refuseSnapshot(view: RegionView): Problem | undefined {
    if (view.region !== this.#options.region) {
      const message = `the snapshot is for ${view.region}, this is ${this.#options.region}`;
      return problem("region_mismatch", "region", message);
    }
    const held = this.#table?.serving;
    if (held !== undefined && compareVersions(view.version, held.version) < 0) {
      const message = `${formatVersion(view.version)} is older than ${held.revision}`;
      return problem("version_backwards", "version", message);
    }
    return undefined;
  }

  #takeState(frame: StateFrame, now: Instant): void {
    this.#state.take(frame, now);
    const table = this.#table;
    const sharers = this.#state.proxies(this.#options.region);
    if (table === undefined || sharers === this.#sharers) return;
    this.#sharers = sharers;
    limitBuckets(this.#calls.buckets, table, sharers);
  }

  #judgeBackends(now: Instant): void {
    for (const target of this.#table?.targets.values() ?? []) {
      if (target.kind === "backend") {
        this.#health.judge(target.slot, this.#toldOf(target.name, now), now);
      }
    }
  }

  /** The control plane's word, which ages; this proxy's own where there is none any more. */
  #toldOf(backend: string, now: Instant): ToldVerdict | undefined {
    const own = this.#own.get(backend);
    const heard = this.#heardOf(backend, now);
    if (heard === undefined) return own;
    return agedVerdict(heard, own, verdictTrust(this.#state.ageMs(now)));
  }

  /** undefined: the control plane has no verdict, or is silent for too long. */
  #heardOf(backend: string, now: Instant): ToldVerdict | undefined {
    return verdictTrust(this.#state.ageMs(now)) === 0 ? undefined : this.#state.told(backend);
  }

  #reportOn(target: Candidate, now: Instant): TargetReport {
    const load = this.#load.table;
    const standing = this.#health.standing(target.slot, now);
    const draining =
      target.kind === "backend"
        ? this.#state.isBackendDraining(target.name, now)
        : this.#state.isDraining(target.region, now);
    return {
      name: target.name,
      region: target.region,
      started: load.counted(target.slot, "started"),
      succeeded: load.counted(target.slot, "succeeded"),
      failed: load.counted(target.slot, "failed"),
      connectFailed: load.counted(target.slot, "connectFailed"),
      timed: load.counted(target.slot, "timed"),
      slow: load.counted(target.slot, "slow"),
      inFlight: load.inFlight(target.slot),
      pendingTokens: load.pendingTokens(target.slot),
      doneTokens: this.#load.demand.doneTokens(target.slot),
      waiting: this.#calls.engines.waiting(target.slot, now),
      ejected: standing === "ejected" || standing === "trial" || standing === "trial-running",
      draining,
      told: target.kind === "backend" ? this.#toldOf(target.name, now) : undefined,
      heard: target.kind === "backend" ? this.#heardOf(target.name, now) : undefined,
      probers: target.kind === "backend" ? this.#state.probers(target.name) : [],
      canaryVector: target.kind === "backend" ? this.#state.canaryVector(target.name) : [],
      available: !draining && isOpen(standing),
    };
  }
}

/** May be chosen like others. One that proves itself may be, too, but seldom and by chance. */
function isOpen(standing: Standing): boolean {
  return standing === "healthy" || standing === "degraded" || standing === "trial";
}

/** Own region, or another one that may be asked, lies within the tenant's residency. */
function residencyHolds(
  table: Table,
  facts: RequestFacts,
  tenant: TenantPlan,
  resolved: ResolvedRoute,
): boolean {
  if (allowsRegion(tenant.residency, table.region)) return true;
  if (facts.arrivedFrom !== undefined || !goesAbroad(resolved.route)) return false;
  return table.peers.some((peer) => allowsRegion(tenant.residency, peer.name));
}

/** A model's backends stand in for each other; so do one region's proxies, with the other regions behind them. */
function healthPools(table: Table): readonly HealthPool[] {
  const pools = [...table.pools.values()].map((pool) => ({
    slots: pool.slots,
    elsewhere: [...(table.regionsByModel.get(pool.model) ?? [])].some(
      (region) => region !== table.region,
    ),
  }));
  const peers = table.peers.map((peer) => ({
    slots: peer.candidates.map((each) => each.slot),
    elsewhere: true,
  }));
  return [...pools, ...peers];
}
