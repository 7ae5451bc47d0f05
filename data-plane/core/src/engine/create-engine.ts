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
import {
  compareVersions,
  formatVersion,
  type RegionView,
  readSnapshot,
} from "@meridian/proto/snapshot";
import { AttemptMachine, type Attempts, type Budgets, type Candidate } from "../attempt/index.ts";
import { type HealthChange, type HealthPool, PassiveHealth } from "../health/index.ts";
import { LoadTable } from "../load/index.ts";
import { allowsRegion, goesAbroad, orderTargets, type ResolvedRoute } from "../route/index.ts";
import type {
  Admission,
  Change,
  Engine,
  EngineReport,
  Outcome,
  RefusalReason,
  RequestFacts,
  Serving,
  TargetReport,
} from "./engine.ts";
import { HeldState } from "./region-state.ts";
import { RequestPlan } from "./request-plan.ts";
import { compileTable, type Table, type TenantPlan } from "./table.ts";

export type EngineOptions = {
  readonly region: string;
  readonly random: Random;
  /** Backing store of the load table; a SharedArrayBuffer when threads share it. Default: one of its own. */
  readonly loadBuffer?: ArrayBufferLike;
  /** Told of ejections and returns as they happen, for the log. */
  readonly onHealthChange?: (target: string, change: HealthChange) => void;
};

/** An engine without a snapshot: it refuses everything until `apply` gave it one. */
export function createEngine(options: EngineOptions): Engine {
  return new RegionEngine(options);
}

/** Output tokens per second below which a model server counts as stuck: 10. */
const msPerOutputToken = 100;

class RegionEngine implements Engine {
  readonly #options: EngineOptions;
  readonly #random: Random;
  readonly #load: LoadTable;
  readonly #health: PassiveHealth;
  readonly #state = new HeldState();
  #table: Table | undefined;
  readonly #totals = { live: 0, requests: 0, inputTokens: 0, outputTokens: 0 };

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#random = options.random.fork("choices");
    this.#load = new LoadTable(options.loadBuffer);
    this.#health = new PassiveHealth(options.random.fork("health"));
  }

  apply(change: Change, now: Instant): Result<Version | undefined, readonly Problem[]> {
    if (change.kind === "snapshot") return this.#applySnapshot(change.snapshot);
    this.#state.take(change.frame, now);
    this.#judgeBackends();
    return ok(this.#table?.serving.version);
  }

  admit(facts: RequestFacts, _now: Instant): Admission {
    const table = this.#table;
    if (table === undefined) return refuse("not-ready");
    const tenant = table.tenants.get(facts.tenant);
    if (tenant === undefined) return refuse("unknown-tenant");
    const resolved = table.router.resolve(facts.tenant, facts.model);
    if (resolved === undefined) return refuse("unknown-model", facts.model);
    if (!residencyHolds(table, facts, tenant, resolved)) return refuse("residency");
    const model = resolved.targets[0]?.model ?? "";
    return { kind: "admitted", route: resolved.route.name, model, reason: resolved.reason };
  }

  begin(facts: RequestFacts, _now: Instant): Attempts {
    const table = this.#table;
    const tenant = table?.tenants.get(facts.tenant);
    const resolved = table?.router.resolve(facts.tenant, facts.model);
    assert(
      table !== undefined && tenant !== undefined && resolved !== undefined,
      "only an admitted request begins",
    );
    this.#totals.live += 1;
    this.#totals.requests += 1;
    const targets = orderTargets(resolved.targets, this.#random);
    const context = {
      // Once there is a table there always is one.
      table: () => this.#table ?? table,
      state: this.#state,
      load: this.#load,
      health: this.#health,
      random: this.#random,
      changed: this.#changed,
    };
    const plan = new RequestPlan(context, { facts, resolved, targets });
    return new AttemptMachine(plan, budgetsFor(facts, resolved), this.#random);
  }

  observe(outcome: Outcome, _now: Instant): void {
    this.#totals.live -= 1;
    this.#totals.inputTokens += outcome.usage.inputTokens;
    this.#totals.outputTokens += outcome.usage.outputTokens;
  }

  report(now: Instant): EngineReport {
    const targets = [...(this.#table?.targets.values() ?? [])];
    const reports = targets.map((each) => ({ kind: each.kind, report: this.#reportOn(each, now) }));
    const sorted = reports.sort((a, b) => (a.report.name < b.report.name ? -1 : 1));
    return {
      version: this.#table?.serving.version,
      region: this.#options.region,
      draining: this.#state.isDraining(this.#options.region, now),
      stateAgeMs: this.#state.ageMs(now),
      liveRequests: this.#totals.live,
      requests: this.#totals.requests,
      inputTokens: this.#totals.inputTokens,
      outputTokens: this.#totals.outputTokens,
      backends: sorted.filter((each) => each.kind === "backend").map((each) => each.report),
      peers: sorted.filter((each) => each.kind === "peer").map((each) => each.report),
    };
  }

  serving(): Serving | undefined {
    return this.#table?.serving;
  }

  readonly #changed = (change: HealthChange): void => {
    const listener = this.#options.onHealthChange;
    if (listener === undefined) return;
    const targets = [...(this.#table?.targets.values() ?? [])];
    const found = targets.find((each) => each.slot === change.slot);
    listener(found?.name ?? `slot ${change.slot}`, change);
  };

  #applySnapshot(snapshot: Snapshot): Result<Version, readonly Problem[]> {
    const view = readSnapshot(snapshot);
    if (view.kind === "err") return view;
    const refusal = this.#refuseSnapshot(view.value);
    if (refusal !== undefined) return err([refusal]);
    const { table, problems } = compileTable(view.value, this.#load);
    // A slot may have been another target's: calls that ended late may have left something behind.
    for (const slot of this.#load.takeFresh()) this.#health.forget(slot);
    if (problems.length > 0) {
      this.#retireAllBut(this.#table);
      return err(problems);
    }
    this.#table = table;
    this.#retireAllBut(table);
    this.#health.arrange(healthPools(table));
    this.#judgeBackends();
    return ok(table.serving.version);
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

  /** Slots of targets that the policy no longer has become free when nothing is in flight on them. */
  #retireAllBut(table: Table | undefined): void {
    for (const id of this.#load.ids()) {
      if (table?.targets.has(id) === true) continue;
      this.#load.retire(id);
    }
  }

  #judgeBackends(): void {
    for (const target of this.#table?.targets.values() ?? []) {
      if (target.kind === "backend") {
        this.#health.judge(target.slot, this.#state.verdict(target.name));
      }
    }
  }

  #reportOn(target: Candidate, now: Instant): TargetReport {
    const standing = this.#health.standing(target.slot, now);
    const draining =
      target.kind === "backend"
        ? this.#state.isBackendDraining(target.name, now)
        : this.#state.isDraining(target.region, now);
    return {
      name: target.name,
      region: target.region,
      started: this.#load.counted(target.slot, "started"),
      succeeded: this.#load.counted(target.slot, "succeeded"),
      failed: this.#load.counted(target.slot, "failed"),
      inFlight: this.#load.inFlight(target.slot),
      pendingTokens: this.#load.pendingTokens(target.slot),
      ejected: standing === "ejected" || standing === "trial" || standing === "trial-running",
      draining,
      verdict: target.kind === "backend" ? this.#state.verdict(target.name) : "none",
      available: !draining && this.#health.share(target.slot, now) > 0,
    };
  }
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

/**
 * Streams and embeddings answer soon or not at all. A whole answer takes as long as its tokens; without a limit on
 * them only the total binds.
 */
function budgetsFor(facts: RequestFacts, resolved: ResolvedRoute): Budgets {
  const { timeouts, attemptsMax } = resolved.route;
  const inputMs = (facts.inputTokens / 1_000) * timeouts.firstTokenMsPer1kInput;
  const answersSoon = facts.stream || facts.kind === "embedding";
  const outputMs = answersSoon
    ? 0
    : (facts.outputTokensMax ?? Number.POSITIVE_INFINITY) * msPerOutputToken;
  return {
    connectMs: timeouts.connectMs,
    headersMs: timeouts.headersMs ?? timeouts.firstTokenMs + inputMs + outputMs,
    slowMs: timeouts.slowMs + inputMs + outputMs,
    firstTokenMs: timeouts.firstTokenMs + inputMs + outputMs,
    betweenTokensMs: timeouts.betweenTokensMs,
    totalMs: Math.min(timeouts.totalMs, facts.timeoutMs ?? Number.POSITIVE_INFINITY),
    attempts: attemptsMax,
    hedges: false,
    continues: false,
  };
}

const refusalTexts: { readonly [K in RefusalReason]: (detail: string) => Problem } = {
  "not-ready": () =>
    problem("not_ready", "", "this proxy has no policy yet", "try again in a moment"),
  "unknown-model": (model) =>
    problem(
      "model_not_found",
      "model",
      `the model ${JSON.stringify(model.slice(0, 200))} does not exist or you may not use it`,
      "GET /v1/models lists the models that you may use",
    ),
  "unknown-tenant": () => problem("unknown_tenant", "", "the policy does not know this tenant"),
  residency: () =>
    problem("residency", "", "no region that your residency allows can take this request"),
  "no-backend": () => problem("no_backend", "", "nobody can answer now"),
};

/** Retrying helps where a policy or capacity may arrive. */
function refuse(reason: RefusalReason, detail = ""): Admission {
  const retryAfterMs = reason === "not-ready" || reason === "no-backend" ? 1_000 : undefined;
  return {
    kind: "refused",
    refusal: { reason, problem: refusalTexts[reason](detail), retryAfterMs },
  };
}
