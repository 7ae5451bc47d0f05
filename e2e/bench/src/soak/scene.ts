// The programs of a soak: a control plane and a proxy before two scripted upstreams, with the policy that allows
// retries, hedges and continuations.

import { cpus } from "node:os";
import {
  type Cluster,
  type Inspector,
  inspectorOption,
  openCluster,
  openInspector,
  type PolicyDocument,
} from "@meridian/harness";
import { pin } from "../proxy/processor.ts";
import type { Ports } from "./footprint.ts";
import { soakModels } from "./plan.ts";
import { Upstream } from "./upstream.ts";

export type Scene = {
  readonly cluster: Cluster;
  readonly upstream: Upstream;
  readonly inspector: Inspector;
  readonly proxyPid: number;
  readonly ports: Ports;
  readonly metrics: () => Promise<string>;
  readonly stop: () => Promise<void>;
};

const region = "us-east";
/** So few that the warm-up fills the record of decisions: what fills is no growth afterwards. */
const decisions = 500;

export type SceneOptions = {
  /** The proxy on one core, all else on another. */
  readonly pinned: boolean;
  /** How long an upstream may be silent, milliseconds. */
  readonly silentMs: number;
};

export async function openScene(options: SceneOptions): Promise<Scene> {
  const upstream = await Upstream.start();
  const cluster = await openCluster({
    regions: [region],
    backendsPerRegion: 0,
    policy: (policy) => soakPolicy(policy, upstream.ports, options.silentMs),
    proxyEnvironment: {
      NODE_OPTIONS: inspectorOption,
      MERIDIAN_THREADS: "1",
      MERIDIAN_DECISIONS: String(decisions),
    },
  });
  try {
    await cluster.start();
    return await look(cluster, upstream, options.pinned);
  } catch (cause) {
    const logs = cluster.logs();
    await cluster.stop();
    upstream.stop();
    throw new Error(`the soak does not start:\n${logs}`, { cause });
  }
}

async function look(cluster: Cluster, upstream: Upstream, pinned: boolean): Promise<Scene> {
  const proxy = cluster.regions[0]?.proxies[0];
  const plan = cluster.topology.regions[0]?.proxies[0];
  if (proxy?.pid === undefined || plan === undefined) throw new Error("the proxy does not run");
  if (pinned && cpus().length > 1) {
    // First this process with its children, then the proxy away from them.
    pin(process.pid, "1");
    pin(proxy.pid, "0");
  }
  const inspector = await openInspector(proxy);
  return {
    cluster,
    upstream,
    inspector,
    proxyPid: proxy.pid,
    ports: { clients: plan.clientPort, upstreams: upstream.ports },
    metrics: async () => (await fetch(`http://127.0.0.1:${plan.opsPort}/metrics`)).text(),
    stop: async () => {
      inspector.close();
      await cluster.stop();
      upstream.stop();
    },
  };
}

function soakPolicy(
  policy: PolicyDocument,
  ports: readonly number[],
  silentMs: number,
): PolicyDocument {
  const [plain, hedged, continued] = soakModels;
  const timeouts = {
    connectMs: 2_000,
    firstTokenMs: silentMs,
    betweenTokensMs: silentMs,
    totalMs: 45_000,
  };
  const retry = { attempts: 3, budgetPercent: 20 };
  return {
    ...policy,
    backends: ports.map((port, index) => ({
      name: `scripted-${index + 1}`,
      region,
      url: `http://127.0.0.1:${port}`,
      serves: soakModels.map((model) => ({ model })),
      assistantPrefix: "append",
    })),
    models: [{ name: plain }, { name: hedged }, { name: continued, continueStreams: true }],
    routes: [
      {
        name: "hedged",
        match: { models: [hedged] },
        timeouts,
        retry,
        hedge: { budgetPercent: 20, minMs: 100 },
      },
      { name: "all", match: { models: ["*"] }, timeouts, retry },
    ],
  };
}
