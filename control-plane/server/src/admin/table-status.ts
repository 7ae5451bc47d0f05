// The region table for people: what each region has of each model, what is asked of it, and where that may go.

import { create } from "@bufbuild/protobuf";
import type { PoolCounts, RegionLoads } from "@meridian/control-core/fleet";
import type { OutflowShare } from "@meridian/control-core/locality";
import type { Clock } from "@meridian/proto/base";
import {
  type ModelStatus,
  ModelStatusSchema,
  type PoolStatus,
  PoolStatusSchema,
  type StatusResponse,
} from "@meridian/proto/gen/admin_pb";
import type { Published } from "../published.ts";
import type { TableKeeper } from "../region/table-keeper.ts";

export type TableStatusOptions = {
  readonly clock: Clock;
  readonly loads: RegionLoads;
  readonly table: TableKeeper;
  readonly published: () => Published | undefined;
};

/** Sorted by model, then in the policy's order of regions. */
export function poolStatuses(options: TableStatusOptions): PoolStatus[] {
  const regions = options.published()?.policy.regions ?? [];
  const rows = regions.flatMap(({ name }) => {
    const row = Map.groupBy(options.table.outflows(name), (each) => each.model);
    return (options.table.digest(name)?.pools ?? []).map((pool) => {
      const status = poolStatus(pool, row.get(pool.model) ?? []);
      const { awayShare } = options.loads.demand(name, pool.model, options.clock.now());
      return { ...status, region: name, sentAway: Math.round(awayShare * 1_000) };
    });
  });
  return rows.sort((a, b) => (a.model < b.model ? -1 : a.model > b.model ? 1 : 0));
}

function poolStatus(pool: PoolCounts, row: readonly OutflowShare[]): PoolStatus {
  const { model, backends, available, capacity, demand, pending } = pool;
  return create(PoolStatusSchema, {
    model,
    backends,
    available,
    ...(capacity === undefined ? {} : { capacityTokens: capacity }),
    demandTokens: demand,
    pendingTokens: pending,
    outflows: row.map((each) => ({
      region: each.region,
      share: Math.round(each.share * 1_000),
      tokens: Math.round(each.share * demand),
    })),
  });
}

/** Sorted by model. */
export function modelStatuses({ table }: TableStatusOptions): ModelStatus[] {
  return table.balances().map(({ model, capacity, demand, largest, spareWithoutLargest }) =>
    create(ModelStatusSchema, {
      model,
      ...(capacity === undefined ? {} : { capacityTokens: BigInt(Math.round(capacity)) }),
      demandTokens: BigInt(Math.round(demand)),
      largest,
      ...(spareWithoutLargest === undefined
        ? {}
        : { spareTokens: BigInt(Math.round(spareWithoutLargest)) }),
    }),
  );
}

/** A region's row is what its own control plane holds: it is the one in force there. */
export function mergePools(
  own: StatusResponse,
  answers: readonly StatusResponse[],
): readonly PoolStatus[] {
  const byRegion = new Map(
    [own, ...answers].flatMap((each) =>
      each.controlPlanes.slice(0, 1).map(({ region }) => [region, each.pools] as const),
    ),
  );
  return own.pools.map((pool) => {
    const told = byRegion.get(pool.region);
    return told?.find((each) => each.region === pool.region && each.model === pool.model) ?? pool;
  });
}
