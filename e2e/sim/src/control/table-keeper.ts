// The region table of a simulated control plane, anew each second. Mirrors the shell of the same name.

import type { Drains } from "@meridian/control-core/drain";
import type { RegionDigest, RegionSigns } from "@meridian/control-core/fleet";
import { type OutflowShare, RegionTable, type TableRegion } from "@meridian/control-core/locality";
import type { Place } from "@meridian/proto/base";
import type { Location, Policy } from "@meridian/proto/gen/policy_pb";
import type { SimNode } from "../net/node.ts";

export type TableKeeperOptions = {
  readonly node: SimNode;
  readonly policy: () => Policy | undefined;
  readonly signs: RegionSigns;
  readonly drains: () => Drains;
  readonly ownDigest: (region: string) => RegionDigest | undefined;
  readonly storeReachable: () => boolean;
};

const tickMs = 1_000;

export class TableKeeper {
  readonly #options: TableKeeperOptions;
  readonly #table = new RegionTable();

  constructor(options: TableKeeperOptions) {
    this.#options = options;
    options.node.every(tickMs, () =>
      this.#table.tick(this.#regions(), options.storeReachable(), options.node.now()),
    );
  }

  outflows(home: string): readonly OutflowShare[] {
    return this.#table.outflows(home);
  }

  #regions(): readonly TableRegion[] {
    const { policy, signs, drains, node, ownDigest } = this.#options;
    const now = node.now();
    const drained = drains().regions;
    return (policy()?.regions ?? []).map(({ name, location }) => {
      const own = ownDigest(name);
      return {
        name,
        place: placeOf(location),
        isDraining: drained.has(name),
        ageMs: own === undefined ? signs.ageMs(name, now) : 0,
        digest: own ?? signs.digest(name),
      };
    });
  }
}

function placeOf(location: Location | undefined): Place | undefined {
  const { lat, lon } = location ?? {};
  return lat === undefined || lon === undefined ? undefined : { lat, lon };
}
