// One region's pools as its control plane sees them: how many backends, what they can bear together, what is asked of
// them. Whole numbers of two digits, so that a digest says the same for a while.

import type { Instant } from "@meridian/proto/base";
import type { Backend, Policy } from "@meridian/proto/gen/policy_pb";
import type { Drains } from "../drain/index.ts";
import type { JudgedBackend } from "../health/index.ts";
import type { BackendCondition, Proxies } from "./proxies.ts";
import type { RegionLoads } from "./region-loads.ts";

/** One region's backends of one model, and what its clients ask of it. */
export type PoolCounts = {
  readonly model: string;
  /** 0: the region's clients ask for it, and no backend of the region serves it. */
  readonly backends: number;
  /** Neither draining nor ejected. Without a fresh proxy to say so, none counts as ejected. */
  readonly available: number;
  /**
   * Tokens a second that the available backends bear, each by its verdict's share; undefined: not known. A backend that
   * serves several models counts in each of their pools whole.
   */
  readonly capacity: number | undefined;
  /** Tokens a second that own clients ask for. */
  readonly demand: number;
  /** Tokens still to do: under way at the backends, and held at the proxies. */
  readonly pending: number;
};

export type PoolSources = {
  readonly policy: Policy;
  readonly proxies: Proxies;
  readonly loads: RegionLoads;
  readonly drains: Drains;
  readonly judged: (backend: string) => JudgedBackend | undefined;
};

type Pool = { backends: number; available: number; pending: number; bearing: Bearing[] };

/** An available backend of a pool. */
type Bearing = {
  readonly capacity: number | undefined;
  readonly weight: number;
  readonly share: number;
};

/** Sorted by model. */
export function countPools(region: string, from: PoolSources, now: Instant): readonly PoolCounts[] {
  const { policy, proxies, loads } = from;
  const pools = new Map<string, Pool>();
  for (const backend of policy.backends) {
    if (backend.region !== region || backend.weight === 0) continue;
    const condition = proxies.backend(region, backend.name, now);
    const bearing = bearingOf(backend, condition, from, now);
    for (const { model } of backend.serves) {
      const pool = pools.get(model) ?? emptyPool();
      pools.set(model, pool);
      pool.backends += 1;
      pool.pending += condition.pendingTokens;
      if (bearing === undefined) continue;
      pool.available += 1;
      pool.bearing.push(bearing);
    }
  }
  for (const { name } of policy.models) {
    const asked = Math.round(loads.demand(region, name, now).tokens) > 0;
    if (asked && !pools.has(name)) pools.set(name, emptyPool());
  }
  const held = proxies.heldTokens(region, now);
  return [...pools]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([model, { backends, available, pending, bearing }]) => ({
      model,
      backends,
      available,
      capacity: capacityOf(bearing),
      demand: roundTokens(loads.demand(region, model, now).tokens),
      pending: roundTokens(pending + (held.get(model) ?? 0)),
    }));
}

function emptyPool(): Pool {
  return { backends: 0, available: 0, pending: 0, bearing: [] };
}

/** undefined: nothing may be sent to it. */
function bearingOf(
  { name, weight }: Backend,
  { state }: BackendCondition,
  { judged: judge, drains, loads }: PoolSources,
  now: Instant,
): Bearing | undefined {
  const judged = judge(name);
  // Before there is a verdict, what most proxies hold out is out.
  const isOut = judged === undefined ? state === "ejected" : judged.verdict === "unhealthy";
  if (isOut || drains.backends.has(name)) return undefined;
  const capacity = loads.capacity(name, now)?.tokens;
  return { capacity, weight: weight ?? 1, share: judged?.share ?? 1 };
}

/**
 * Backends that nobody knows are taken for what the known ones of their pool are for their weight, if those are at least
 * half of it: a new backend should not make a known pool unknown.
 */
function capacityOf(bearing: readonly Bearing[]): number | undefined {
  if (bearing.length === 0) return 0;
  const known = bearing.flatMap(({ capacity, weight }) =>
    capacity === undefined ? [] : [{ capacity, weight }],
  );
  if (known.length === 0 || known.length * 2 < bearing.length) return undefined;
  const perWeight =
    known.reduce((sum, each) => sum + each.capacity, 0) /
    known.reduce((sum, each) => sum + each.weight, 0);
  const sum = bearing.reduce(
    (all, each) => all + (each.capacity ?? perWeight * each.weight) * each.share,
    0,
  );
  // 0 would say that there is none.
  return Math.max(1, roundTokens(sum));
}

/** Two digits. */
function roundTokens(tokens: number): number {
  const whole = Math.min(Math.round(tokens), 0xffff_ffff);
  if (whole < 100) return whole;
  const step = 10 ** (Math.floor(Math.log10(whole)) - 1);
  return Math.min(Math.round(whole / step) * step, 0xffff_ffff);
}
