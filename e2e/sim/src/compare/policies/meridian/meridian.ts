// Ours: the product's own decisions. Proxies run the real engine, control planes the real fleet and region table cores.

import type { Policy } from "../../arena/arena.ts";
import { publishFleet } from "./fleet-policy.ts";
import { RegionControl } from "./region-control.ts";
import { RegionProxy } from "./region-proxy.ts";

function policy(name: string, goesAbroad: boolean): Policy {
  return {
    name,
    start: (arena) => {
      const { objectiveMs } = arena;
      const published = publishFleet(arena.layout, { objectiveMs, goesAbroad });
      const proxies = arena.layout.replicas.map((_, region) => new RegionProxy(arena, region));
      for (const proxy of proxies) {
        const snapshot = published.snapshots.get(proxy.name);
        const applied =
          snapshot && proxy.engine.apply({ kind: "snapshot", snapshot }, arena.timeline.now);
        if (applied?.kind !== "ok") throw new Error(`${proxy.name} refuses its snapshot`);
      }
      for (const proxy of proxies) proxy.begin(proxies);
      const controls = proxies.map((proxy) => new RegionControl(arena, proxy, published));
      for (const control of controls) control.begin(controls);
      return { arrive: (ask) => proxies[ask.session.region]?.take(ask, undefined) };
    },
  };
}

export const meridian: Policy = policy("meridian", true);

/** Every region for itself: what regional peaks need. */
export const regionalMeridian: Policy = policy("regional-meridian", false);
