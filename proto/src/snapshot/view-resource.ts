// From the policy's messages to the view's values, with the defaults that policy.proto states.

import { err, ok, parseAddress, type Result } from "../base/index.ts";
import type {
  Backend,
  Health,
  Hedge,
  Match,
  Model,
  Objective,
  Region,
  Route,
  Shadow,
  Tenant,
  Timeouts,
} from "../gen/meridian/v1/policy_pb.ts";
import type { RegionResource } from "../gen/meridian/v1/snapshot_pb.ts";
import { assistantPrefixes, balances, findWord, protocols, rungs } from "../policy/words.ts";
import type {
  BackendView,
  CanaryView,
  HealthView,
  HedgeView,
  ModelView,
  ProbeView,
  RegionEntry,
  RouteView,
  TenantView,
  TimeoutsView,
} from "./view.ts";

/** What a route takes where it does not say; policy.proto states the same figures. */
export const routeDefaults: Pick<
  RouteView,
  "balance" | "fallback" | "timeouts" | "attemptsMax" | "retryBudgetPercent"
> = {
  balance: "least-outstanding",
  fallback: ["local-queue", "remote"],
  timeouts: {
    connectMs: 1_000,
    headersMs: undefined,
    slowMs: 10_000,
    firstTokenMs: 20_000,
    firstTokenMsPer1kInput: 250,
    betweenTokensMs: 15_000,
    totalMs: 600_000,
  },
  attemptsMax: 3,
  retryBudgetPercent: 10,
};

/** What a route that hedges takes where it does not say. */
export const hedgeDefaults: HedgeView = { budgetPercent: 5, minMs: 50 };

/** What a policy takes where it does not say how sure verdicts must be. */
export const falseAlarmsPerMonthDefault = 1;

export function viewRegion(
  region: Region,
  more: Pick<RegionResource, "health" | "fleetBackends">,
): Result<RegionEntry, string> {
  const { name, location, endpoint } = region;
  const peers = [];
  for (const each of region.peers) {
    const address = parseAddress(each);
    if (address === undefined) return err(`the peer ${each.slice(0, 64)} is not host:port`);
    peers.push(address);
  }
  return ok({
    name,
    location:
      location === undefined ? undefined : { lat: location.lat ?? 0, lon: location.lon ?? 0 },
    endpoint,
    peers,
    health: more.fleetBackends === 0 ? undefined : viewHealth(more.health, more.fleetBackends),
  });
}

export function viewHealth(health: Health | undefined, fleetBackends: number): HealthView {
  const falseAlarms = health?.falseAlarmsPerMonth ?? 0;
  return {
    falseAlarmsPerMonth: falseAlarms > 0 ? falseAlarms : falseAlarmsPerMonthDefault,
    fleetBackends,
  };
}

export function viewBackend(backend: Backend): Result<BackendView, string> {
  const number: number = backend.protocol;
  const protocol = number === 0 ? "openai" : protocols[number - 1];
  if (protocol === undefined) return err(`the protocol number ${number} is not known`);
  const prefix = backend.assistantPrefix === "" ? "none" : backend.assistantPrefix;
  const assistantPrefix = findWord(assistantPrefixes, prefix);
  if (assistantPrefix === undefined) {
    return err(`the assistant prefix ${prefix.slice(0, 64)} is not known`);
  }
  return ok({
    name: backend.name,
    region: backend.region,
    url: backend.url.replace(/\/$/, ""),
    protocol,
    serves: backend.serves.map(({ model, as }) => ({ model, as: as === "" ? model : as })),
    weight: backend.weight ?? 1,
    concurrencyMax: unlessZero(backend.capacity?.concurrency),
    requestsPerMinute: unlessZero(backend.capacity?.requestsPerMinute),
    tokensPerMinute: unlessZero(backend.capacity?.tokensPerMinute),
    assistantPrefix,
    probe: viewProbe(backend),
    metricsPath: viewMetricsPath(backend.metricsPath),
  });
}

function viewMetricsPath(path: string): string | undefined {
  return path === "none" ? undefined : path === "" ? "/metrics" : path;
}

const canaryTokensDefault = 8;

function viewProbe({ probe, serves }: Backend): ProbeView {
  const path = probe === undefined || probe.path === "" ? "/health" : probe.path;
  const canary = probe?.canary;
  const served = serves.find((each) => each.model === canary?.model) ?? serves[0];
  if (canary === undefined || served === undefined) return { path, canary: undefined };
  const { prompt, input, expect, pattern } = canary;
  return {
    path,
    canary: {
      as: served.as === "" ? served.model : served.as,
      ask:
        input === ""
          ? { kind: "chat", prompt, maxTokens: unlessZero(canary.maxTokens) ?? canaryTokensDefault }
          : { kind: "embedding", input },
      expect: viewExpectation(expect, pattern),
      latencyMs: unlessZero(probe?.latencyMs),
    },
  };
}

function viewExpectation(expect: string, pattern: string): CanaryView["expect"] {
  if (pattern !== "") return { kind: "pattern", pattern };
  return expect === "" ? undefined : { kind: "contains", text: expect };
}

export function viewModel(model: Model, regions: readonly string[]): Result<ModelView, string> {
  const { name, aliases, features, degradeTo, continueStreams: continuesStreams } = model;
  const contextTokens = unlessZero(model.contextTokens);
  return ok({ name, aliases, contextTokens, features, degradeTo, continuesStreams, regions });
}

export function viewRoute(route: Route): Result<RouteView, string> {
  const balance = route.balance === "" ? routeDefaults.balance : findWord(balances, route.balance);
  if (balance === undefined) return err(`the balance ${route.balance.slice(0, 64)} is not known`);
  const fallback = route.fallback.flatMap((each) => findWord(rungs, each) ?? []);
  if (fallback.length < route.fallback.length) return err("a word of fallback is not known");
  const match = viewMatch(route.match);
  // Left out, the last of them would make a route of one language a route of all.
  if (match.protocols.length < (route.match?.protocols.length ?? 0)) {
    return err("a protocol of the match is not known");
  }
  return ok({
    name: route.name,
    match,
    targets: route.targets.map(({ model, weight }) => ({ model, weight: weight ?? 1 })),
    balance,
    timeouts: viewTimeouts(route.timeouts, route.objective),
    attemptsMax: unlessZero(route.retry?.attempts) ?? routeDefaults.attemptsMax,
    retryBudgetPercent: unlessZero(route.retry?.budgetPercent) ?? routeDefaults.retryBudgetPercent,
    objectiveFirstTokenMs: unlessZero(route.objective?.firstTokenMs),
    fallback: fallback.length === 0 ? routeDefaults.fallback : fallback,
    hedge: viewHedge(route.hedge),
    shadow: viewShadow(route.shadow),
    affinityHeader: route.affinity === undefined ? undefined : route.affinity.header,
  });
}

/** Protocols of a later build are left out: the caller refuses them. */
function viewMatch(match: Match | undefined): RouteView["match"] {
  const numbers: readonly number[] = match?.protocols ?? [];
  return {
    models: match?.models ?? [],
    tenants: match?.tenants ?? [],
    headers: (match?.headers ?? [])
      .map(({ name, value }) => ({ name: name.toLowerCase(), pattern: value }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    protocols: numbers.flatMap((each) => protocols[each - 1] ?? []),
    paths: match?.paths ?? [],
  };
}

const shadowConcurrencyDefault = 16;

function viewShadow(shadow: Shadow | undefined): RouteView["shadow"] {
  if (shadow === undefined) return undefined;
  const { model, percent } = shadow;
  const concurrencyMax = unlessZero(shadow.concurrency) ?? shadowConcurrencyDefault;
  return { model, percent, concurrencyMax };
}

export function viewTenant(tenant: Tenant): Result<TenantView, string> {
  const { name, residency, priority } = tenant;
  return ok({
    name,
    keys: tenant.keys.map(({ sha256 }) => sha256),
    residency,
    priority,
    requestsPerMinute: unlessZero(tenant.limits?.requestsPerMinute),
    tokensPerMinute: unlessZero(tenant.limits?.tokensPerMinute),
  });
}

function viewHedge(hedge: Hedge | undefined): HedgeView | undefined {
  if (hedge === undefined) return undefined;
  return {
    budgetPercent: unlessZero(hedge.budgetPercent) ?? hedgeDefaults.budgetPercent,
    minMs: unlessZero(hedge.minMs) ?? hedgeDefaults.minMs,
  };
}

function viewTimeouts(
  timeouts: Timeouts | undefined,
  objective: Objective | undefined,
): TimeoutsView {
  const { timeouts: defaults } = routeDefaults;
  const firstTokenMs = unlessZero(timeouts?.firstTokenMs) ?? defaults.firstTokenMs;
  return {
    connectMs: unlessZero(timeouts?.connectMs) ?? defaults.connectMs,
    headersMs: unlessZero(timeouts?.headersMs),
    slowMs: unlessZero(timeouts?.slowMs) ?? unlessZero(objective?.firstTokenMs) ?? firstTokenMs / 2,
    firstTokenMs,
    firstTokenMsPer1kInput:
      unlessZero(timeouts?.firstTokenMsPer1kInput) ?? defaults.firstTokenMsPer1kInput,
    betweenTokensMs: unlessZero(timeouts?.betweenTokensMs) ?? defaults.betweenTokensMs,
    totalMs: unlessZero(timeouts?.totalMs) ?? defaults.totalMs,
  };
}

/** The schema's 0 is "not set". */
function unlessZero(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}
