// The real program with what a deployment has: a control plane that it reports to, keys of several tenants, several
// routes, models and backends, metrics, and the log of decisions.

import { type Cluster, hashKey, openCluster, type PolicyDocument } from "@meridian/harness";
import { requestPath, type Subject } from "./subject.ts";
import { models } from "./workload.ts";

export type MeridianSubject = Subject & {
  readonly cluster: Cluster;
  /** The control plane's: it shares the load's processor. */
  readonly controlPid: number;
};

export type MeridianOptions = {
  readonly upstreamPorts: readonly number[];
  /** Listener threads. */
  readonly threads?: number;
  /** Among NODE_OPTIONS of the proxy. */
  readonly nodeOptions?: string;
};

const region = "us-east";
const tenants = 20;
/** The tenant that asks; one in the middle of the list. */
const asker = 11;

export async function startMeridian(options: MeridianOptions): Promise<MeridianSubject> {
  const cluster = await openCluster({
    regions: [region],
    backendsPerRegion: 0,
    policy: (policy) => benchPolicy(policy, options.upstreamPorts),
    proxyEnvironment: {
      MERIDIAN_THREADS: String(options.threads ?? 1),
      ...(options.nodeOptions === undefined ? {} : { NODE_OPTIONS: options.nodeOptions }),
    },
  });
  try {
    await cluster.start();
    const port = cluster.topology.regions[0]?.proxies[0]?.clientPort;
    const pid = cluster.regions[0]?.proxies[0]?.pid;
    const controlPid = cluster.controlPlanes[0]?.pid;
    if (port === undefined || pid === undefined || controlPid === undefined) {
      throw new Error("a program of Meridian does not run");
    }
    return {
      name: "Meridian",
      pid,
      controlPid,
      cluster,
      target: {
        port,
        path: requestPath,
        headers: { authorization: `Bearer ${keyOf(asker)}` },
        check: "exact",
      },
      stop: () => cluster.stop(),
    };
  } catch (cause) {
    const logs = cluster.logs();
    await cluster.stop();
    throw new Error(`Meridian does not start:\n${logs}`, { cause });
  }
}

/** The request of the bench meets the third route. */
function benchPolicy(policy: PolicyDocument, upstreamPorts: readonly number[]): PolicyDocument {
  const timeouts = {
    connectMs: 1_000,
    firstTokenMs: 20_000,
    firstTokenMsPer1kInput: 250,
    betweenTokensMs: 15_000,
    totalMs: 600_000,
  };
  const shared = { timeouts, retry: { attempts: 3, budgetPercent: 10 } };
  return {
    ...policy,
    backends: upstreamPorts.map((port, index) => ({
      name: `${region}-${index + 1}`,
      region,
      url: `http://127.0.0.1:${port}`,
      serves: models.map((model) => ({ model })),
      weight: 1,
    })),
    models: models.map((name, index) => ({
      name,
      contextTokens: 131_072,
      ...(index === 0 ? { aliases: ["default"] } : {}),
    })),
    routes: [
      { name: "staff", match: { tenants: ["tenant-1", "tenant-2"] }, ...shared },
      { name: "first", match: { models: ["bench-a"] }, balance: "weighted", ...shared },
      {
        name: "chat",
        match: { models: ["bench-*"] },
        balance: "least-outstanding",
        objective: { firstTokenMs: 2_000 },
        fallback: ["remote"],
        ...shared,
      },
      { name: "rest", match: { models: ["*"] }, ...shared },
    ],
    tenants: Array.from({ length: tenants }, (_, index) => ({
      name: `tenant-${index + 1}`,
      keys: [`${keyOf(index + 1)}`, `${keyOf(index + 1)}-old`].map((key) => ({
        sha256: hashKey(key),
      })),
    })),
  };
}

function keyOf(tenant: number): string {
  return `bench-key-of-tenant-${tenant}`;
}
