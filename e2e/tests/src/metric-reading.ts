// Numbers from a proxy's metrics, for tests that watch them.

import type { Cluster } from "@meridian/harness";

/** Base URL of the operations port of a region's proxy, the first by default. */
export function opsOf(cluster: Cluster, region: string, proxy = 0): string {
  const plan = cluster.topology.regions.find((each) => each.name === region);
  return `http://127.0.0.1:${plan?.proxies[proxy]?.opsPort}`;
}

/** The value of one series; undefined: there is none. */
export async function readMetric(ops: string, series: string): Promise<number | undefined> {
  const text = await (await fetch(`${ops}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}
