// The region table: how much of its demand for a model each region may send to each other one. Made each second from all
// regions' digests, the same by every control plane: bounds for proxies, not orders (design 7, reference 3.2).

import type { Instant, Place } from "@meridian/proto/base";
import { damp, type Shares } from "./damping.ts";
import { type FillPool, type FillRow, fillPools } from "./water-fill.ts";

/** What is known of one region. */
export type TableRegion = {
  readonly name: string;
  readonly place: Place | undefined;
  readonly isDraining: boolean;
  /** Since its last sign of life. */
  readonly ageMs: number;
  /** Its digest; undefined: it has not said anything yet. */
  readonly digest: { readonly proxies: number; readonly pools: readonly TablePool[] } | undefined;
};

/** One region's pool of a model, in tokens a second; see PoolCounts. */
export type TablePool = {
  readonly model: string;
  readonly backends: number;
  readonly available: number;
  readonly capacity: number | undefined;
  readonly demand: number;
};

/** A cell of the table; an Outflow has this form. */
export type OutflowShare = {
  readonly model: string;
  /** Where it may go. */
  readonly region: string;
  /** Of the home region's demand for the model, 0 to 1. */
  readonly share: number;
};

/** What all regions together have of one model, in tokens a second. */
export type ModelBalance = {
  readonly model: string;
  readonly demand: number;
  /** undefined: that of some region is not known. */
  readonly capacity: number | undefined;
  /** What is left without the region that has most; negative: its loss could not be borne. */
  readonly spareWithoutLargest: number | undefined;
  /** Which region that is. */
  readonly largest: string;
};

/** Source: reference 3.2. A silent region's offer stands for a while, then fades. */
const trustedMs = 5_000;
const fadeMs = 25_000;

/** What others may count on of a silent region's capacity. */
export function trustOf(ageMs: number): number {
  return Math.max(0, 1 - Math.max(0, ageMs - trustedMs) / fadeMs);
}

/**
 * The table of this moment, as it would be without damping: per model, each region's row.
 * With `storeReachable` false nobody is heard of, and a region that seems silent is unknown rather than gone.
 */
function fillModels(
  regions: readonly OpenRegion[],
  storeReachable: boolean,
): ReadonlyMap<string, ReadonlyMap<string, FillRow>> {
  return new Map(
    modelsOf(regions).map((model) => [
      model,
      fillPools(regions.flatMap((each) => fillPool(each, model, storeReachable))),
    ]),
  );
}

/** Per model, whether all regions together could lose the largest one. */
export function balanceModels(told: readonly TableRegion[]): readonly ModelBalance[] {
  const regions = told.map(openRegion);
  return modelsOf(regions).map((model) => {
    const pools = regions.flatMap((each) => fillPool(each, model, true));
    const serving = pools.filter((each) => each.capacity === undefined || each.capacity > 0);
    const demand = pools.reduce((sum, each) => sum + each.demand, 0);
    const largest = [...serving].sort(
      (a, b) => b.offered - a.offered || (a.region < b.region ? -1 : 1),
    )[0];
    const isKnown = serving.every((each) => each.capacity !== undefined);
    const capacity = isKnown ? serving.reduce((sum, each) => sum + each.offered, 0) : undefined;
    return {
      model,
      demand,
      capacity,
      spareWithoutLargest:
        capacity === undefined ? undefined : capacity - (largest?.offered ?? 0) - demand,
      largest: largest?.region ?? "",
    };
  });
}

/** Follows the table of each moment, damped: `tick` each second. */
export class RegionTable {
  /** By model and home region. */
  #rows: ReadonlyMap<string, ReadonlyMap<string, Shares>> = new Map();
  #tickedAt: Instant | undefined;

  tick(told: readonly TableRegion[], storeReachable: boolean, now: Instant): void {
    const regions = told.map(openRegion);
    const elapsedMs = this.#tickedAt === undefined ? 0 : now - this.#tickedAt;
    this.#tickedAt = now;
    const table = fillModels(regions, storeReachable);
    const former = this.#rows;
    this.#rows = new Map(
      [...table].map(([model, rows]) => [
        model,
        stepRows(former.get(model), { model, rows, regions, elapsedMs }),
      ]),
    );
  }

  /** A region's row, sorted by model and region. No cell: there is no bound, as a capacity is not known. */
  outflows(home: string): readonly OutflowShare[] {
    return [...this.#rows].flatMap(([model, rows]) =>
      [...(rows.get(home) ?? [])].map(([region, share]) => ({ model, region, share })),
    );
  }
}

/** A region with its pools by model. */
type OpenRegion = TableRegion & { readonly pools: ReadonlyMap<string, TablePool> };

function openRegion(region: TableRegion): OpenRegion {
  const pools = region.digest?.pools ?? [];
  return { ...region, pools: new Map(pools.map((each) => [each.model, each])) };
}

type RowsStep = {
  readonly model: string;
  readonly rows: ReadonlyMap<string, FillRow>;
  readonly regions: readonly OpenRegion[];
  readonly elapsedMs: number;
};

function stepRows(
  former: ReadonlyMap<string, Shares> | undefined,
  { model, rows, regions, elapsedMs }: RowsStep,
): ReadonlyMap<string, Shares> {
  const serving = new Set(
    regions.filter((each) => (each.pools.get(model)?.backends ?? 0) > 0).map((each) => each.name),
  );
  const closed = new Set(
    regions.filter((each) => offerOf(each, model) === 0).map((each) => each.name),
  );
  const next = new Map<string, Shares>();
  for (const [home, row] of rows) {
    const region = regions.find((each) => each.name === home);
    if (region === undefined) continue;
    const aim = sharesOf(row, serving);
    const isHomeDown = capacityOf(region, model) === 0;
    const before = former?.get(home);
    const step = damp(before, { aim, isHomeDown, closed, elapsedMs });
    // Where a region left the table, or its capacity is not known any more, nothing binds.
    next.set(home, new Map([...step].filter(([name]) => aim.has(name))));
  }
  return next;
}

function sharesOf({ home, away }: FillRow, serving: ReadonlySet<string>): Shares {
  const demand = [...away.values()].reduce((sum, each) => sum + each, home);
  const cells = [...away].filter(([region]) => serving.has(region));
  return new Map(cells.map(([region, tokens]) => [region, demand > 0 ? tokens / demand : 0]));
}

function modelsOf(regions: readonly OpenRegion[]): readonly string[] {
  return [...new Set(regions.flatMap((each) => [...each.pools.keys()]))].sort();
}

/** Nothing of a region that has said nothing, or has nothing to do with the model. */
function fillPool(region: OpenRegion, model: string, storeReachable: boolean): readonly FillPool[] {
  const pool = region.pools.get(model);
  if (pool === undefined) return [];
  const { name, place, ageMs } = region;
  const isLost = !storeReachable && trustOf(ageMs) === 0;
  return [
    {
      region: name,
      place,
      capacity: isLost ? undefined : capacityOf(region, model),
      offered: offerOf(region, model) ?? 0,
      demand: pool.demand,
    },
  ];
}

/** For its own clients; 0: it is drained or has no backend that may be called. undefined: not known. */
function capacityOf(region: OpenRegion, model: string): number | undefined {
  const pool = region.pools.get(model);
  if (pool === undefined || region.isDraining || pool.available === 0) return 0;
  return pool.capacity;
}

/** For others: without a proxy that is ready nobody takes their requests. undefined: not known. */
function offerOf(region: OpenRegion, model: string): number | undefined {
  if ((region.digest?.proxies ?? 0) === 0) return 0;
  const capacity = capacityOf(region, model);
  return capacity === undefined ? undefined : capacity * trustOf(region.ageMs);
}
