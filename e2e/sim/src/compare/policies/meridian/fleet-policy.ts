// The policy document of a compared fleet, compiled as a control plane would: one proxy in each region, all its replicas
// in one pool.

import { type Published, publish } from "../../../control/policies.ts";
import type { Layout } from "../../arena/arena.ts";

export const model = "llama-8b";

/** Virginia, Ireland, Mumbai: only their order by distance counts, round trips are measured. */
const locations = [
  { lat: 39.0, lon: -77.5 },
  { lat: 53.3, lon: -6.3 },
  { lat: 19.1, lon: 72.9 },
];

/** Nothing fails here: a comparison is about waiting, so nobody's time is up before the run's. */
const patienceMs = 3_600_000;

export function regionName(region: number): string {
  return `region-${region}`;
}

export function replicaName(place: number): string {
  return `replica-${place}`;
}

export type FleetRules = {
  readonly objectiveMs: number;
  /** false: every region for itself. */
  readonly goesAbroad: boolean;
};

export function publishFleet(layout: Layout, rules: FleetRules): Published {
  const published = publish({ epoch: 1, sequence: 1, document: document(layout, rules) });
  if (published.kind === "ok") return published.value;
  throw new Error(`the fleet's policy is refused: ${JSON.stringify(published.error)}`);
}

function document({ replicas, size }: Layout, { objectiveMs, goesAbroad }: FleetRules): unknown {
  const regions = replicas.flatMap((count, region) =>
    Array.from({ length: count }, () => regionName(region)),
  );
  return {
    regions: replicas.map((_, region) => ({
      name: regionName(region),
      location: locations[region % locations.length],
      endpoint: `https://${regionName(region)}.api.example.com`,
      peers: [peerAddress(region)],
    })),
    backends: regions.map((region, place) => ({
      name: replicaName(place),
      region,
      url: `http://${replicaName(place)}.sim:8000`,
      serves: [{ model }],
      capacity: { concurrency: size.slots },
    })),
    models: [{ name: model }],
    routes: [
      {
        name: "all",
        match: { models: ["*"] },
        balance: "cache-aware",
        timeouts: {
          firstTokenMs: patienceMs,
          betweenTokensMs: patienceMs,
          totalMs: patienceMs,
          slowMs: objectiveMs,
        },
        objective: { firstTokenMs: objectiveMs },
        fallback: goesAbroad ? ["local-queue", "remote"] : ["local-queue"],
      },
    ],
  };
}

function peerAddress(region: number): string {
  return `${regionName(region)}.sim:8443`;
}

/** As engines name it in their candidates. */
export function peerOrigin(region: number): string {
  return `https://${peerAddress(region)}`;
}
