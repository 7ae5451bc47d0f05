// The fixed ports of `npm start`: a range for each kind of port, so that a person can guess them.

import { createServer } from "node:net";
import {
  defaultRegions,
  type PortUse,
  planTopology,
  portsOf,
  type Topology,
} from "@meridian/harness";

/** What is added to the base port. */
const offsets: { readonly [U in PortUse]: number } = {
  client: 0,
  peer: 10,
  "proxy-ops": 20,
  control: 30,
  "control-ops": 40,
  backend: 50,
};

/** The port by which parts are killed and started again. */
export function switchPort(basePort: number): number {
  return basePort - 1;
}

export function localTopology(options: {
  readonly basePort: number;
  readonly store: "embedded" | "etcd";
  readonly backendsPerRegion: number;
}): Topology {
  const used = new Map<PortUse, number>();
  const shape = {
    regions: defaultRegions,
    controlPlanes: options.store === "etcd" ? "each-region" : "one",
    proxiesPerRegion: 1,
    backendsPerRegion: options.backendsPerRegion,
  } as const;
  return planTopology(shape, (use) => {
    const number = used.get(use) ?? 0;
    used.set(use, number + 1);
    return options.basePort + offsets[use] + number;
  });
}

/** Ports that somebody listens on already, each with what it was meant for. */
export async function takenPorts(topology: Topology, basePort: number): Promise<readonly string[]> {
  const wanted = [[switchPort(basePort), "the switches"] as const, ...portsOf(topology)];
  const found = await Promise.all(
    wanted.map(async ([port, use]) => ((await isFree(port)) ? [] : [`${port} (${use})`])),
  );
  return found.flat();
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port }, () => server.close(() => resolve(true)));
  });
}
