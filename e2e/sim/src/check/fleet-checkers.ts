// Promises about the fleet: versions, verdicts, bounds, retries, how fast load moves, and copies of the store (design 1.8,
// 1.11, 1.13; reference multiregion 3.2).

import { sortedEntries } from "@meridian/control-core/watch";
import { type AttemptRecord, callBudgetLimits, ruleOf } from "@meridian/data-core/attempt";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import { compareVersions, formatVersion } from "@meridian/proto/snapshot";
import type { SimProxy } from "../fleet/proxy.ts";
import { serverNames } from "../scene/policy.ts";
import type { CheckerMaker } from "./checker.ts";

/** No proxy applies an older version than it had, restarts included; none is given an empty set of backends. */
export const neverBackwards: CheckerMaker = (scene, violate) => {
  const newest = new Map<string, Version>();
  const counts = new Map(
    scene.options.plan.regions.map((each) => [each.name, serverNames(each).length]),
  );
  return {
    applied: ({ node }, { version, resources }, source) => {
      const held = newest.get(node.name);
      if (version === undefined) {
        violate(`${node.name} applied a snapshot without a version`);
        return;
      }
      // A disk that hung may be older than what was in memory when the process died.
      if (held !== undefined && compareVersions(version, held) < 0 && source !== "disk") {
        violate(`${node.name} went from ${formatVersion(held)} back to ${formatVersion(version)}`);
      }
      newest.set(node.name, version);
      const backends = resources.filter((each) => each.name.startsWith("backend/")).length;
      if (backends !== counts.get(node.region)) {
        violate(`${node.name} was given ${backends} backends`);
      }
    },
  };
};

/** Health evidence of a trouble may arrive this much later. */
const lateMs = 60_000;

/** Nobody is called unhealthy without a cause. */
export const healthFalseAlarms: CheckerMaker = (scene, violate) => ({
  verdict: (_, { name, verdict, reason }) => {
    if (verdict !== "unhealthy") return;
    const trouble = scene.troubles.get(name);
    if (trouble !== undefined && scene.now - trouble.to < lateMs) return;
    violate(`${name} is called unhealthy (${reason}) and nothing is wrong with it`);
  },
});

/** Held requests of one model that a proxy's thread may have: the engine's own bound. */
const heldMax = 1_000;
/** Requests under way at one proxy; far beyond what these fleets can mean. */
const liveMax = 20_000;

/** Every queue has its bound. */
export const boundedQueues: CheckerMaker = (scene, violate) => ({
  eachSecond: () => {
    for (const { server } of scene.backends.values()) {
      const { waiting, running } = server.metrics();
      const { slots } = server.size;
      if (running > slots) violate(`${server.name} runs ${running} on ${slots} slots`);
      if (waiting > (scene.queueMax[server.region] ?? 0))
        violate(`${waiting} wait at ${server.name}`);
    }
    for (const proxy of scene.proxies.values()) {
      if (!proxy.node.isUp) continue;
      if (proxy.live > liveMax) violate(`${proxy.node.name} has ${proxy.live} requests`);
      for (const pool of proxy.engine.report(proxy.node.now()).pools) {
        if (pool.held > heldMax) violate(`${proxy.node.name} holds ${pool.held} of ${pool.model}`);
      }
    }
  },
});

/** Share of requests that may be called again, as the scenarios' policy has it. */
const retryShare = 0.1;
/** A call is made up to a second after it was paid for, and the floor goes on filling meanwhile. */
const purseSlack = 12;

/** Per proxy, the retry budget counted anew: retries after failures that had cost somebody work never exceed it. */
export const retryBudget: CheckerMaker = (scene, violate) => {
  const { burst, floorPerSecond, savedMax } = callBudgetLimits.retry;
  type Purse = { life: number; left: number; at: number };
  const purses = new Map<string, Purse>();
  const purseOf = ({ node }: SimProxy): Purse => {
    const known = purses.get(node.name);
    if (known?.life === node.life) return known;
    const purse = { life: node.life, left: burst, at: scene.now };
    purses.set(node.name, purse);
    return purse;
  };
  return {
    began: ({ proxy }) => {
      const purse = purseOf(proxy);
      if (purse.left < savedMax) purse.left = Math.min(savedMax, purse.left + retryShare);
    },
    called: (exchange, { role }) => {
      const records = exchange.attempts?.records() ?? [];
      if (role !== "retry" || !isCostly(records, records.length - 1)) return;
      const purse = purseOf(exchange.proxy);
      const gain = ((scene.now - purse.at) / 1_000) * floorPerSecond;
      if (purse.left < burst) purse.left = Math.min(burst, purse.left + gain);
      purse.at = scene.now;
      purse.left -= 1;
      if (purse.left >= -purseSlack) return;
      violate(`${exchange.proxy.node.name} retries request ${exchange.request.id} on credit`);
      purse.left = 0;
    },
  };
};

/** The call before had failed, and cost a server or another region some work. */
function isCostly(records: readonly AttemptRecord[], at: number): boolean {
  const before = records[at - 1]?.failure;
  return before !== undefined && ruleOf(before).spends;
}

/** Of a region's demand, in one second. Frames are a second apart, and a little jitter is not a jump. */
const movedMax = 0.2;
const slack = 0.02;

/** What a region may send away grows by 20 % of its demand in a second at most, unless it is down itself. */
export const shareMoved: CheckerMaker = (scene, violate) => {
  type Seen = { readonly at: number; readonly share: number };
  const seen = new Map<string, Seen>();
  return {
    observed: ({ node }, { outflows }) => {
      if (outflows.length === 0) {
        // No capacity is known: there is no bound, from which any first one may follow.
        seen.delete(node.name);
        return;
      }
      const share = outflows.reduce((sum, each) => sum + each.share, 0) / 1_000;
      const before = seen.get(node.name);
      seen.set(node.name, { at: scene.now, share });
      if (before === undefined || scene.isHomeDown(node.region)) return;
      // A frame that comes early carries part of a second's move at most.
      const seconds = Math.max(1, (scene.now - before.at) / 1_000);
      const moved = Math.abs(share - before.share);
      if (moved <= movedMax * seconds + slack) return;
      const change = `${before.share.toFixed(2)} to ${share.toFixed(2)}`;
      violate(`${node.name} may send away ${change} within ${seconds.toFixed(1)} s`);
    },
  };
};

/** Once all is well, every control plane's copy is what the store holds, and every proxy has the newest policy. */
export const copiesAgree: CheckerMaker = (scene, violate) => ({
  atEnd: () => {
    const leader = scene.store.leader();
    if (leader === undefined) {
      violate("the store has no leader at the end");
      return;
    }
    const truth = leader.rows.etcd;
    for (const control of scene.controls.values()) {
      if (!control.node.isUp) continue;
      // Heartbeats and digests are written while this is read: rows of the policy and of orders stand still.
      for (const [at, prefix] of [[0, "/pol/"] as const, [2, "/ctl/"] as const]) {
        const mirror = control.mirrors[at];
        const held = JSON.stringify(
          sortedEntries(mirror?.entries ?? new Map()).map((e) => [e.key, e.modRevision]),
        );
        const wanted = JSON.stringify(
          truth.list(prefix).entries.map((e) => [e.key, e.modRevision]),
        );
        if (held !== wanted)
          violate(`${control.node.name} holds ${held} of ${prefix}, not ${wanted}`);
      }
      if (control.mirrors.some((each) => each.state() !== "fresh")) {
        violate(`${control.node.name} still calls its copies stale`);
      }
    }
    const version = [...scene.controls.values()][0]?.published?.version;
    for (const proxy of scene.proxies.values()) {
      const held = proxy.held?.version;
      if (
        !proxy.node.isUp ||
        (held !== undefined && version !== undefined && compareVersions(held, version) === 0)
      ) {
        continue;
      }
      violate(`${proxy.node.name} has ${formatVersion(held)}, not ${formatVersion(version)}`);
    }
  },
});

/** Source: design 16. */
const writesPerSecondMax = 5;

/** The store is written seldom. */
export const fewWrites: CheckerMaker = (scene, violate) => ({
  atEnd: () => {
    const writes = scene.store.leader()?.rows.etcd.revision ?? 0;
    const rate = writes / (scene.now / 1_000);
    if (rate > writesPerSecondMax) violate(`${rate.toFixed(1)} writes in a second`);
  },
});
