// Makes the region table anew each second out of what is known of all regions, and holds it for state frames and people.

import type { Drains } from "@meridian/control-core/drain";
import type { PoolCounts, RegionDigest, RegionSigns } from "@meridian/control-core/fleet";
import {
  balanceModels,
  type ModelBalance,
  type OutflowShare,
  RegionTable,
  type TableRegion,
} from "@meridian/control-core/locality";
import type { Clock, Place } from "@meridian/proto/base";
import type { Location, Policy } from "@meridian/proto/gen/policy_pb";

export type TableKeeperOptions = {
  readonly clock: Clock;
  readonly policy: () => Policy | undefined;
  readonly signs: RegionSigns;
  readonly drains: () => Drains;
  /** The newest digest of a region that this control plane speaks for itself, written yet or not. */
  readonly ownDigest: (region: string) => RegionDigest | undefined;
  readonly storeReachable: () => boolean;
};

/** The whole table as it stands. */
export type TableReadings = {
  readonly pools: readonly ({ readonly region: string } & PoolCounts)[];
  readonly outflows: readonly ({ readonly home: string } & OutflowShare)[];
  readonly models: readonly ModelBalance[];
};

const tickMs = 1_000;

export class TableKeeper {
  readonly #options: TableKeeperOptions;
  readonly #table = new RegionTable();
  readonly #timer: NodeJS.Timeout;

  constructor(options: TableKeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** A region's row, as it is in force. */
  outflows(home: string): readonly OutflowShare[] {
    return this.#table.outflows(home);
  }

  /** For the metrics. */
  readings(): TableReadings {
    const regions = this.#regions();
    return {
      pools: regions.flatMap(({ name }) =>
        (this.digest(name)?.pools ?? []).map((pool) => ({ region: name, ...pool })),
      ),
      outflows: regions.flatMap(({ name }) =>
        this.outflows(name).map((each) => ({ home: name, ...each })),
      ),
      models: balanceModels(regions),
    };
  }

  balances(): readonly ModelBalance[] {
    return balanceModels(this.#regions());
  }

  /** A region's newest digest. */
  digest(region: string): RegionDigest | undefined {
    return this.#options.ownDigest(region) ?? this.#options.signs.digest(region);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const { clock, storeReachable } = this.#options;
    this.#table.tick(this.#regions(), storeReachable(), clock.now());
  }

  #regions(): readonly TableRegion[] {
    const { policy, signs, drains, clock, ownDigest } = this.#options;
    const now = clock.now();
    const drained = drains().regions;
    return (policy()?.regions ?? []).map(({ name, location }) => ({
      name,
      place: placeOf(location),
      isDraining: drained.has(name),
      ageMs: ownDigest(name) === undefined ? signs.ageMs(name, now) : 0,
      digest: this.digest(name),
    }));
  }
}

function placeOf(location: Location | undefined): Place | undefined {
  const { lat, lon } = location ?? {};
  return lat === undefined || lon === undefined ? undefined : { lat, lon };
}
