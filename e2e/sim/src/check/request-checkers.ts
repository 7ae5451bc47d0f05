// Promises about single requests: truth of endings, one commit point, one hop, residency, local first, and that each ends
// once (design 1.1, 1.3 to 1.6).

import { policyRegions } from "../scene/policy.ts";
import type { CheckerMaker } from "./checker.ts";

/** A client that was told "complete" got a complete answer; one that got a part and no more was told so. */
export const noSilentTruncation: CheckerMaker = (_, violate) => ({
  finished: ({ request, outputTokens, firstTokenAt, ending }, told) => {
    if (told?.kind === "complete" && (!told.isTrue || outputTokens < request.outputTokens)) {
      const got = `${outputTokens} of ${request.outputTokens} tokens`;
      violate(`request ${request.id} was told to be complete with ${got}`);
    }
    if (told?.kind === "complete" && told.reading !== undefined && told.reading !== "complete") {
      violate(`request ${request.id} was whole and reads as ${told.reading}`);
    }
    if (told?.kind === "broken" && told.reading !== undefined && told.reading !== "error") {
      violate(`request ${request.id} broke off and reads as ${told.reading}`);
    }
    if (ending === "refused" && firstTokenAt !== undefined) {
      violate(`request ${request.id} got tokens and then a refusal`);
    }
  },
});

/** One speaker until the end; after the commit no retry and no hedge; another speaker only as a continuation. */
export const oneCommitPoint: CheckerMaker = (scene, violate) => {
  const committed = new Set<object>();
  const { continueStreams } = scene.options.plan;
  return {
    called: (exchange, { role }) => {
      if (!committed.has(exchange)) return;
      if (role === "continuation" && continueStreams) return;
      violate(`request ${exchange.request.id}: a ${role} call after the commit`);
    },
    spoke: (exchange, { kind, role }) => {
      const isFirst = !committed.has(exchange);
      committed.add(exchange);
      const isFit = isFirst ? kind === "commit" : kind === "splice" && role === "continuation";
      if (!isFit)
        violate(`request ${exchange.request.id}: ${role} speaks by ${kind} after another`);
    },
    ended: (exchange) => {
      committed.delete(exchange);
    },
  };
};

/** What came from another region stays; each other region is asked once. */
export const oneHop: CheckerMaker = (_, violate) => {
  const asked = new WeakMap<object, Set<string>>();
  return {
    called: (exchange, { candidate }) => {
      if (candidate.kind !== "peer") return;
      const { id } = exchange.request;
      if (exchange.isFromPeer)
        violate(`request ${id} was sent on a second time, to ${candidate.region}`);
      const names = asked.get(exchange) ?? new Set();
      asked.set(exchange, names);
      if (names.has(candidate.name)) violate(`request ${id}: ${candidate.name} was asked twice`);
      names.add(candidate.name);
    },
  };
};

/** Nothing of a bound request goes where its tenant may not be. */
export const residency: CheckerMaker = (scene, violate) => {
  const bound = new Map(scene.options.plan.tenants.map((each) => [each.name, each.residency]));
  const forbids = (tenant: string, region: string): boolean => {
    const regions = bound.get(tenant) ?? [];
    return regions.length > 0 && !regions.includes(region);
  };
  return {
    called: ({ request }, { candidate }) => {
      if (forbids(request.tenant, candidate.region)) {
        violate(`request ${request.id} of ${request.tenant} was sent to ${candidate.region}`);
      }
    },
    firstToken: ({ request, servedIn }) => {
      if (forbids(request.tenant, servedIn ?? "")) {
        violate(`request ${request.id} of ${request.tenant} was answered in ${servedIn}`);
      }
    },
    held: ({ request, proxy }) => {
      if (forbids(request.tenant, proxy.node.region)) {
        violate(`request ${request.id} of ${request.tenant} is held in ${proxy.node.region}`);
      }
    },
  };
};

/** A server counts as idle below this share of its slots, without anybody waiting. */
const idleShare = 0.5;
/** It must have been so for this long, so that reports and polls have told. */
const idleForMs = 5_000;
/** After a trouble or a drain a region earns its trust anew: proving, slow start, verdicts. */
const recoverMs = 90_000;
/** Who was called slow has half its weight or less, and its weight back some time later. */
const doubtedMs = 15_000;
/** For the few that a second's race explains. */
const leavesMax = 0.002;

/** A request leaves its region only where the region is expected to miss the objective. */
export const localFirst: CheckerMaker = (scene, violate) => {
  const idleSince = new Map<string, number>();
  /** By server: when it was last called anything but healthy; Infinity: it still is. */
  const doubtedAt = new Map<string, number>();
  const bound = new Map(scene.options.plan.tenants.map((each) => [each.name, each.residency]));
  let asked = 0;
  let left = 0;
  let example = "";

  const isIdleNow = (region: string): boolean =>
    scene.serversOf(region).some((each) => {
      const name = each.server.name;
      const trouble = scene.troubles.get(name);
      const isTrusted = trouble === undefined || scene.now - trouble.to > recoverMs;
      const since = idleSince.get(name) ?? Number.POSITIVE_INFINITY;
      const isDoubted = scene.now - (doubtedAt.get(name) ?? Number.NEGATIVE_INFINITY) < doubtedMs;
      return isTrusted && !isDoubted && scene.weights[name] !== 0 && scene.now - since >= idleForMs;
    });
  const sample = (): void => {
    for (const { server } of scene.backends.values()) {
      const { waiting, running } = server.metrics();
      const isIdle = waiting === 0 && running < server.size.slots * idleShare;
      if (!isIdle) idleSince.delete(server.name);
      else if (!idleSince.has(server.name)) idleSince.set(server.name, scene.now);
    }
  };
  scene.world.timeline.every(250, sample);
  return {
    verdict: (_, { name, verdict }) => {
      doubtedAt.set(name, verdict === "healthy" ? scene.now : Number.POSITIVE_INFINITY);
    },
    called: ({ isFromPeer, proxy, request }, { candidate, role, reason }) => {
      if (isFromPeer || role !== "first") return;
      asked += 1;
      if (candidate.kind === "backend") return;
      const { region } = proxy.node;
      const regions = bound.get(request.tenant) ?? [];
      const mayStay = regions.length === 0 || regions.includes(region);
      const wasDrained =
        scene.now - (scene.drains.get(region) ?? Number.NEGATIVE_INFINITY) < recoverMs;
      if (!mayStay || wasDrained || !isIdleNow(region)) return;
      left += 1;
      if (example === "") {
        example = `request ${request.id} at ${Math.round(scene.now)} ms to ${candidate.region} (${reason})`;
      }
    },
    atEnd: () => {
      if (left > Math.max(2, asked * leavesMax)) {
        violate(`${left} of ${asked} requests left a region that had room, first ${example}`);
      }
    },
  };
};

/** Every request ends once for its client, and leaves nothing behind in proxies, servers and engines. */
export const conservation: CheckerMaker = (scene, violate) => ({
  atEnd: () => {
    const { records } = scene.world;
    if (records.open > 0) {
      const open = records.all.find((each) => each.ending === undefined);
      violate(`${records.open} requests have not ended, first ${open?.request.id}`);
    }
    if (records.closedTwice > 0) violate(`${records.closedTwice} requests ended twice`);
    for (const proxy of scene.proxies.values()) {
      if (!proxy.node.isUp) continue;
      const { name } = proxy.node;
      if (proxy.live > 0) violate(`${name} has ${proxy.live} requests left`);
      const report = proxy.engine.report(proxy.node.now());
      if (report.liveRequests !== 0) violate(`${name}'s engine counts ${report.liveRequests} live`);
      for (const target of [...report.backends, ...report.peers]) {
        if (target.inFlight === 0 && Math.abs(target.pendingTokens) < 1) continue;
        const left = `${target.inFlight} in flight, ${target.pendingTokens} tokens`;
        violate(`${name}'s engine counts for ${target.name}: ${left}`);
      }
      for (const pool of report.pools) {
        if (pool.held !== 0) violate(`${name}'s engine holds ${pool.held} of ${pool.model}`);
      }
    }
    for (const { server, canaries } of scene.backends.values()) {
      const { running, waiting } = server.metrics();
      const left = running + waiting - canaries;
      if (left > 0) violate(`${server.name} still has ${left} sequences`);
    }
  },
});

/** A request that the policy allows somewhere is not refused for want of a policy. */
export const staticStability: CheckerMaker = (scene, violate) => {
  const served = new Set<string>();
  const regions = policyRegions(scene.options.plan);
  return {
    applied: (proxy) => {
      served.add(proxy.node.name);
    },
    refused: ({ proxy, request }, code) => {
      if (code !== "not_ready" || !served.has(proxy.node.name)) return;
      violate(`request ${request.id}: ${proxy.node.name} had a policy once and has none now`);
    },
    eachSecond: () => {
      for (const proxy of scene.proxies.values()) {
        if (
          !proxy.node.isUp ||
          !served.has(proxy.node.name) ||
          !regions.includes(proxy.node.region)
        )
          continue;
        if (proxy.held === undefined) violate(`${proxy.node.name} serves without a policy`);
      }
    },
  };
};
