// Puts the distance between regions into a cluster: whatever crosses a border goes through the relay.

import type { Link, Relay } from "../relay/relay.ts";
import { loopback } from "./programs.ts";
import type { ControlPlan, RegionPlan, Topology } from "./topology.ts";

/** How each region reaches what stands in another. */
export type FarAddresses = {
  readonly control: (fromRegion: string, plan: ControlPlan) => string;
  /** The peer addresses of the policy, each with the way there from one region: `A=B,C=D`. */
  readonly peers: (fromRegion: string) => string;
};

/** Without a relay everything is reached where it listens. */
export const noDistance: FarAddresses = {
  control: (_, plan) => loopback(plan.listenPort),
  peers: () => "",
};

/** A link for each region, to each foreign control plane and each foreign proxy's peer port. */
export async function openDistance(topology: Topology, relay: Relay): Promise<FarAddresses> {
  const links = new Map<string, Link>();
  const key = (from: string, port: number) => `${from} ${port}`;

  async function link(from: string, to: string, port: number): Promise<void> {
    if (from === to) return;
    const target = { host: "127.0.0.1", port };
    links.set(key(from, port), await relay.addLink({ from, to, target }));
  }
  for (const { name } of topology.regions) {
    for (const plan of topology.controlPlanes) await link(name, plan.region, plan.listenPort);
    for (const region of topology.regions) {
      for (const proxy of region.proxies) await link(name, region.name, proxy.peerPort);
    }
  }

  function address(from: string, port: number): string {
    return loopback(links.get(key(from, port))?.port ?? port);
  }
  return {
    control: (from, plan) => address(from, plan.listenPort),
    peers: (from) =>
      foreignProxies(topology.regions, from)
        .map((port) => `${loopback(port)}=${address(from, port)}`)
        .join(","),
  };
}

function foreignProxies(regions: readonly RegionPlan[], from: string): readonly number[] {
  return regions
    .filter((region) => region.name !== from)
    .flatMap((region) => region.proxies.map((proxy) => proxy.peerPort));
}
