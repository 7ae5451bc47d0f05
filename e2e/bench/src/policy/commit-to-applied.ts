// From an operator's apply to the proxies of three regions that are as far apart as real ones: etcd of three members,
// the leader in us-east, a control plane and a proxy in each region.

import { setTimeout as pause } from "node:timers/promises";
import { type Cluster, type Etcd, regionDistances, startCluster } from "@meridian/harness";
import { Pool } from "undici";
import { openControlWatch } from "../watch-cuts/control-watch.ts";
import { openAdmin } from "./admin.ts";
import { reweighted } from "./reweighted.ts";

export type RegionTimes = {
  readonly region: string;
  /** From the commit of the policy's head, as the leader's member sees it, to the proxy's word that it is in force. */
  readonly committedToAppliedMs: readonly number[];
  /** From the operator's call on. */
  readonly calledToAppliedMs: readonly number[];
  /** What distance alone costs: one commit (leader to the nearest other member and back) and half a round trip. */
  readonly physicsMs: number;
};

export type CommitToApplied = {
  readonly regions: readonly RegionTimes[];
  /** From the operator's call to its answer. */
  readonly calledToAnsweredMs: readonly number[];
  /** From the operator's call to the last of the proxies. */
  readonly calledToLastMs: readonly number[];
};

const home = "us-east";
const pollMs = 4;
const appliedTimeoutMs = 30_000;
/** Between applies: longer than a control plane's quiet wait, so that each apply is a push of its own. */
const settleMs = 300;

type Turn = {
  readonly answeredMs: number;
  readonly committedMs: number;
  /** By region, in the cluster's order. */
  readonly appliedMs: readonly number[];
  readonly calledMs: number;
};

export async function measureCommitToApplied(applies: number): Promise<CommitToApplied> {
  const cluster = await startCluster({
    store: "etcd",
    delayed: true,
    controlPlanes: "each-region",
    backendsPerRegion: 1,
  });
  try {
    const { etcd } = cluster;
    if (etcd === undefined) throw new Error("the cluster was started without etcd");
    const turns = await measureTurns({ cluster, etcd, applies });
    return {
      regions: cluster.regions.map(({ name }, index) => ({
        region: name,
        committedToAppliedMs: turns.map(
          (turn) => (turn.appliedMs[index] ?? NaN) - turn.committedMs,
        ),
        calledToAppliedMs: turns.map((turn) => (turn.appliedMs[index] ?? NaN) - turn.calledMs),
        physicsMs: nearestRttMs() + rttMs(home, name) / 2,
      })),
      calledToAnsweredMs: turns.map((turn) => turn.answeredMs - turn.calledMs),
      calledToLastMs: turns.map((turn) => Math.max(...turn.appliedMs) - turn.calledMs),
    };
  } finally {
    await cluster.stop();
  }
}

async function measureTurns(parts: {
  readonly cluster: Cluster;
  readonly etcd: Etcd;
  readonly applies: number;
}): Promise<readonly Turn[]> {
  const { cluster, etcd } = parts;
  const plan = cluster.topology.controlPlanes.find((each) => each.region === home);
  const { MERIDIAN_TLS_DIR } = cluster.operatorEnvironment();
  const admin = openAdmin(`127.0.0.1:${plan?.listenPort}`, MERIDIAN_TLS_DIR);
  let committedMs = Number.NaN;
  const head = await openControlWatch(etcd.member(0).directUrl, "/pol/", (key) => {
    if (key === "/pol/head") committedMs = performance.now();
  });
  const pools = cluster.topology.regions.flatMap((region) =>
    region.proxies.map((proxy) => new Pool(`http://127.0.0.1:${proxy.opsPort}`)),
  );
  try {
    const turns: Turn[] = [];
    for (let turn = 1; turn <= parts.applies; turn++) {
      const before = await Promise.all(pools.map(revisionOf));
      const calledMs = performance.now();
      const applied = pools.map((pool, index) => changedAtMs(pool, before[index] ?? ""));
      await admin.apply(reweighted(cluster.policy, turn));
      const answeredMs = performance.now();
      const appliedMs = await Promise.all(applied);
      turns.push({ calledMs, answeredMs, committedMs, appliedMs });
      await pause(settleMs);
    }
    return turns;
  } finally {
    head.close();
    admin.close();
    await Promise.all(pools.map((pool) => pool.close()));
  }
}

/** When the proxy first tells of another policy than before. */
async function changedAtMs(pool: Pool, before: string): Promise<number> {
  const deadlineMs = performance.now() + appliedTimeoutMs;
  while (performance.now() < deadlineMs) {
    if ((await revisionOf(pool)) !== before) return performance.now();
    await pause(pollMs);
  }
  throw new Error(`a proxy did not apply the policy within ${appliedTimeoutMs} ms`);
}

async function revisionOf(pool: Pool): Promise<string> {
  const { body } = await pool.request({ path: "/gslb/state", method: "GET" });
  // The proxy's documented answer; a missing revision compares unequal and fails in the bench's figures.
  const state = (await body.json()) as { readonly revision?: unknown };
  return String(state.revision);
}

/** What a commit costs the leader: the way to the nearest other member and back. */
function nearestRttMs(): number {
  const touching = regionDistances.filter((each) => each.from === home || each.to === home);
  return Math.min(...touching.map((each) => each.rttMs));
}

function rttMs(a: string, b: string): number {
  const found = regionDistances.find(
    (each) => (each.from === a && each.to === b) || (each.from === b && each.to === a),
  );
  return found?.rttMs ?? 0;
}
