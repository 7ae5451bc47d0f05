// A snapshot compiled for the hot path: everything looked up by name once, so that a request only reads. Immutable.

import { fnv1a, type Place, type Problem, problem } from "@meridian/proto/base";
import { isReadableHeader } from "@meridian/proto/policy";
import {
  type BackendView,
  type CanaryView,
  formatVersion,
  type RegionView,
} from "@meridian/proto/snapshot";
import type { Candidate } from "../attempt/index.ts";
import type { Slots } from "../load/index.ts";
import { ownTenant, Router, type RoutingPolicy } from "../route/index.ts";
import type { Serving, SmallestQuestion } from "./engine.ts";
import { PoolSurvey } from "./pool-survey.ts";

/** Backends of this region that serve one model. */
export type Pool = {
  readonly model: string;
  readonly candidates: readonly Candidate[];
  readonly slots: readonly number[];
  /** Policy weights, in the order of the candidates. */
  readonly weights: readonly number[];
  /** Hashes of their names, by which sessions find their place. */
  readonly nameHashes: readonly number[];
  /** What each of them bears, as the policy says. */
  readonly capacities: readonly Capacity[];
  /** Of these the requests at once; Infinity where the policy says nothing. */
  readonly inFlightMax: readonly number[];
  /** Of the last look at it: the one thing here that changes. */
  readonly survey: PoolSurvey;
};

export type Capacity = Pick<
  BackendView,
  "concurrencyMax" | "requestsPerMinute" | "tokensPerMinute"
>;

export type PeerRegion = {
  readonly name: string;
  readonly place: Place | undefined;
  /** Its proxies' peer ports. Empty: the region can't be reached. */
  readonly candidates: readonly Candidate[];
};

export type TenantPlan = { readonly name: string; readonly residency: readonly string[] };

export type Table = {
  readonly serving: Serving;
  readonly region: string;
  readonly place: Place | undefined;
  readonly router: Router;
  readonly pools: ReadonlyMap<string, Pool>;
  /** Other regions, sorted by name. */
  readonly peers: readonly PeerRegion[];
  /** model → regions whose backends serve it. */
  readonly regionsByModel: ReadonlyMap<string, ReadonlySet<string>>;
  /** Models whose streams may go on from another backend. */
  readonly continuing: ReadonlySet<string>;
  readonly tenants: ReadonlyMap<string, TenantPlan>;
  /** Model → the slot that its demand is counted in, and in the load table what is held for it; sorted by model. */
  readonly poolSlots: ReadonlyMap<string, number>;
  /** Route with a shadow → the slot that its copies are counted in. Where the table has no room there are no copies. */
  readonly shadowSlots: ReadonlyMap<string, number>;
  /** Load-table id → one candidate for it, sorted by id. */
  readonly targets: ReadonlyMap<string, Candidate>;
};

/** Everyone's name where the policy names no tenant. */
export const anonymous = "anonymous";

/** Ids in the load table. */
export function targetId(candidate: Pick<Candidate, "kind" | "name">): string {
  return `${candidate.kind}/${candidate.name}`;
}

/** Compiles a snapshot, claiming a slot for each target. Problems: a table without room. */
export function compileTable(
  view: RegionView,
  slots: Slots,
): { readonly table: Table; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const targets = new Map<string, Candidate>();
  const claim = claimer(slots, problems);
  const pools = compilePools(view, claim, targets);
  const peers = compilePeers(view, claim, targets);
  const policy = routingPolicy(view);
  const router = new Router(policy);
  const own = view.regions.find((each) => each.name === view.region);
  const table: Table = {
    serving: makeServing(view, policy, router, [...targets.values()]),
    region: view.region,
    place: own?.location,
    router,
    pools,
    peers,
    regionsByModel: new Map(view.models.map((each) => [each.name, new Set(each.regions)])),
    continuing: new Set(
      view.models.filter((each) => each.continuesStreams).map((each) => each.name),
    ),
    tenants: compileTenants(view),
    poolSlots: compilePoolSlots(view, claim),
    shadowSlots: compileShadowSlots(view, slots),
    targets,
  };
  return { table, problems };
}

type Claim = (id: string) => number;

/** -1 when the table is full; the snapshot is refused then. */
function claimer(slots: Slots, problems: Problem[]): Claim {
  return (id) => {
    const slot = slots.claim(id);
    if (slot !== undefined) return slot;
    problems.push(
      problem("too_many_targets", id, "the load table has no room", "start with a larger table"),
    );
    return -1;
  };
}

function compilePools(
  view: RegionView,
  claim: Claim,
  targets: Map<string, Candidate>,
): ReadonlyMap<string, Pool> {
  const pools = new Map<
    string,
    { candidates: Candidate[]; weights: number[]; capacities: Capacity[] }
  >();
  for (const backend of view.backends) {
    const id = targetId({ kind: "backend", name: backend.name });
    const slot = claim(id);
    for (const serves of backend.serves) {
      const candidate = backendCandidate(backend, view.region, { serves, slot });
      if (!targets.has(id)) targets.set(id, candidate);
      const pool = pools.get(serves.model) ?? { candidates: [], weights: [], capacities: [] };
      pool.candidates.push(candidate);
      pool.weights.push(backend.weight);
      pool.capacities.push(backend);
      pools.set(serves.model, pool);
    }
  }
  return new Map(
    [...pools].map(([model, pool]) => [
      model,
      {
        model,
        ...pool,
        slots: pool.candidates.map((each) => each.slot),
        inFlightMax: pool.capacities.map((each) => each.concurrencyMax ?? Number.POSITIVE_INFINITY),
        nameHashes: pool.candidates.map((each) => fnv1a(each.name)),
        survey: new PoolSurvey(pool.candidates.length),
      },
    ]),
  );
}

function backendCandidate(
  backend: BackendView,
  region: string,
  { serves, slot }: { readonly serves: BackendView["serves"][number]; readonly slot: number },
): Candidate {
  return {
    kind: "backend",
    slot,
    name: backend.name,
    region,
    origin: backend.url,
    protocol: backend.protocol,
    model: serves.model,
    upstreamModel: serves.as,
    assistantPrefix: backend.assistantPrefix,
  };
}

/** Of all models: own clients may ask for one that other regions alone serve. */
function compilePoolSlots(view: RegionView, claim: Claim): ReadonlyMap<string, number> {
  const names = view.models.map((each) => each.name).sort();
  return new Map(names.map((name) => [name, claim(`pool/${name}`)]));
}

function compileShadowSlots(view: RegionView, slots: Slots): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { name, shadow } of view.routes) {
    const slot = shadow === undefined ? undefined : slots.claim(`shadow/${name}`);
    if (slot !== undefined) found.set(name, slot);
  }
  return found;
}

function compilePeers(
  view: RegionView,
  claim: Claim,
  targets: Map<string, Candidate>,
): readonly PeerRegion[] {
  const others = view.regions.filter((each) => each.name !== view.region);
  const peers = others.map((region): PeerRegion => {
    const candidates = region.peers.map(({ host, port }): Candidate => {
      const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
      const name = `${region.name}/${address}`;
      const id = targetId({ kind: "peer", name });
      const candidate: Candidate = {
        kind: "peer",
        slot: claim(id),
        name,
        region: region.name,
        origin: `https://${address}`,
        protocol: "openai",
        model: "",
        upstreamModel: undefined,
        assistantPrefix: "append",
      };
      targets.set(id, candidate);
      return candidate;
    });
    return { name: region.name, place: region.location, candidates };
  });
  return peers.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function routingPolicy(view: RegionView): RoutingPolicy {
  return {
    routes: view.routes,
    models: new Set(view.models.map((each) => each.name)),
    aliases: new Map(
      view.models.flatMap((each) => each.aliases.map((alias) => [alias, each.name] as const)),
    ),
  };
}

function compileTenants(view: RegionView): ReadonlyMap<string, TenantPlan> {
  const tenants = new Map<string, TenantPlan>(
    view.tenants.map((each) => [each.name, { name: each.name, residency: each.residency }]),
  );
  if (tenants.size === 0) tenants.set(anonymous, { name: anonymous, residency: [] });
  tenants.set(ownTenant, { name: ownTenant, residency: [view.region] });
  return tenants;
}

function makeServing(
  view: RegionView,
  policy: RoutingPolicy,
  router: Router,
  upstreams: readonly Candidate[],
): Serving {
  const tenantByHash = new Map(
    view.tenants.flatMap((tenant) => tenant.keys.map((key) => [key, tenant.name] as const)),
  );
  const names = nameableModels(policy);
  return {
    version: view.version,
    revision: formatVersion(view.version),
    region: view.region,
    open: view.tenants.length === 0,
    tenantByKeyHash: (sha256) => tenantByHash.get(sha256),
    modelsFor: (tenant) => names.filter((name) => router.mayResolve(tenant, name)),
    upstreams,
    headersRead: headersRead(policy),
    readsPrefix: policy.routes.some((each) => each.balance === "cache-aware"),
    smallest: smallestQuestions(view),
  };
}

function smallestQuestions({ backends }: RegionView): readonly SmallestQuestion[] {
  const questions = new Map<string, CanaryView["ask"]>();
  for (const { serves, probe } of backends) {
    for (const { model, as } of serves) {
      const { canary } = probe;
      const ask = canary?.as === as ? canary.ask : undefined;
      if (ask !== undefined)
        questions.set(model, ask.kind === "chat" ? { ...ask, maxTokens: 1 } : ask);
      else if (!questions.has(model)) questions.set(model, guess);
    }
  }
  return [...questions]
    .map(([model, ask]) => ({ model, ask }))
    .sort((a, b) => (a.model < b.model ? -1 : 1));
}

const guess = { kind: "chat", prompt: "Hi", maxTokens: 1 } as const;

function headersRead({ routes }: RoutingPolicy): readonly string[] {
  const names = routes.flatMap(({ match, affinityHeader }) => [
    ...match.headers.map((each) => each.name),
    ...(affinityHeader === undefined ? [] : [affinityHeader]),
  ]);
  return [...new Set(names)].filter(isReadableHeader).sort();
}

/** Models, aliases, and what routes name without a wildcard. */
function nameableModels(policy: RoutingPolicy): readonly string[] {
  const exact = policy.routes.flatMap((each) =>
    each.match.models.filter((pattern) => !pattern.includes("*")),
  );
  return [...new Set([...policy.models, ...policy.aliases.keys(), ...exact])].sort();
}
