// What is killed while the trace is replayed.

import type { Cluster, Program } from "@meridian/harness";

export type Scenario = {
  readonly name: string;
  /** Kills it; gives the names of the processes that are gone. */
  readonly strike: (cluster: Cluster) => Promise<readonly string[]>;
};

export const scenarios: readonly Scenario[] = [
  { name: "none", strike: async () => [] },
  {
    name: "backend",
    strike: (cluster) => kill(cluster.regions[0]?.backends.slice(0, 1)),
  },
  {
    name: "region-backends",
    strike: (cluster) => kill(cluster.regions[0]?.backends),
  },
  {
    name: "proxy",
    strike: (cluster) => kill(cluster.regions[1]?.proxies),
  },
  {
    name: "control",
    strike: async (cluster) => {
      const members = cluster.etcd?.members ?? [];
      const [killed] = await Promise.all([
        kill(cluster.controlPlanes),
        ...members.map((each) => each.kill()),
      ]);
      return [...killed, ...members.map((each) => each.name)];
    },
  },
];

async function kill(programs: readonly Program[] = []): Promise<readonly string[]> {
  await Promise.all(programs.map((each) => each.kill()));
  return programs.map((each) => each.name);
}
