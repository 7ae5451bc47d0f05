// The programs of the spill bench: three regions at their distances, and two models that are alike but for one thing:
// requests for one of them may leave their region, those for the other may not. Each has backends of its own.

import {
  type Cluster,
  defaultRegions,
  freePorts,
  type PolicyBackend,
  type PolicyDocument,
  planTopology,
  startCluster,
  type Topology,
} from "@meridian/harness";

/** What may be sent away, and what may not: the same load under both rules at the same time. */
export const arms = ["spilling", "staying"] as const;
export type Arm = (typeof arms)[number];

/** The region that is driven beyond what it can do. */
export const hotRegion = "us-east";

/** Backends of each model: fewer where the load is, so that the others together have room for what they must take. */
export function backendsOf(region: string): number {
  return region === hotRegion ? 1 : 2;
}

/** One backend: batches of 8, 40 ms a step, 20 ms for a prompt: about 8 requests a second. */
export const slots = 8;
export const size = { promptTokens: 400, outputTokens: 20 };
const modelSize = `0.05:40:0:${slots}:5000`;

/** What the routes promise: requests leave only where they would wait longer. */
export const objectiveMs = 600;

export type SceneOptions = {
  /** Three control planes and etcd, or one control plane. */
  readonly store: "embedded" | "etcd";
  readonly note: (line: string) => void;
};

export async function openScene(options: SceneOptions): Promise<Cluster> {
  const { store, note } = options;
  const topology = await planScene(store);
  return startCluster({
    store,
    delayed: true,
    topology,
    speed: 1,
    models: arms.map((arm) => `${arm}:${modelSize}`),
    policy: (policy) => policyWith(policy, undefined),
    progress: note,
  });
}

/** `tokensPerMinute`: what each backend can do; undefined: the policy says nothing of it. */
export function policyWith(
  policy: PolicyDocument,
  tokensPerMinute: number | undefined,
): PolicyDocument {
  const capacity =
    tokensPerMinute === undefined ? {} : { capacity: { concurrency: slots, tokensPerMinute } };
  return {
    ...policy,
    backends: policy.backends.map((backend) => ({
      ...backend,
      serves: [{ model: armOf(policy, backend) }],
      ...capacity,
    })),
    models: arms.map((name) => ({ name })),
    routes: arms.map((arm) => ({
      name: arm,
      match: { models: [arm] },
      objective: { firstTokenMs: objectiveMs },
      // Whoever waits is to be seen waiting: nothing but the client's patience ends it.
      timeouts: { firstTokenMs: 120_000, slowMs: objectiveMs },
      fallback: arm === "spilling" ? ["local-queue", "remote"] : ["local-queue"],
    })),
  };
}

/** The first half of a region's backends is one arm's, the second half the other's. */
function armOf({ backends }: PolicyDocument, { name, region }: PolicyBackend): Arm {
  const ofRegion = backends.filter((each) => each.region === region);
  const place = ofRegion.findIndex((each) => each.name === name);
  return place < ofRegion.length / 2 ? "spilling" : "staying";
}

async function planScene(store: SceneOptions["store"]): Promise<Topology> {
  const most = 2 * Math.max(...defaultRegions.map(backendsOf));
  const shape = {
    regions: defaultRegions,
    controlPlanes: store === "etcd" ? "each-region" : "one",
    proxiesPerRegion: 1,
    backendsPerRegion: most,
  } as const;
  const ports = [...(await freePorts(defaultRegions.length * (3 + 2 + most)))];
  const topology = planTopology(shape, () => ports.pop() ?? 0);
  return {
    ...topology,
    regions: topology.regions.map((region) => ({
      ...region,
      backends: region.backends.slice(0, 2 * backendsOf(region.name)),
    })),
  };
}
