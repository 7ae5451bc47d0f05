// Every proxy that this control plane has heard of: what it applied, what it refused, what it reports. Bounded; whoever
// falls silent is forgotten after a while.

import type { Instant, Problem } from "@meridian/proto/base";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import { createBackendCounts } from "./backend-counts.ts";

/** Who a proxy is. The region is its certificate's, never its own word. */
export type ProxyNode = { readonly id: string; readonly region: string; readonly build: string };

/** One second of one proxy; a ReportFrame has this form. */
export type ProxyReport = {
  readonly applied?: Version | undefined;
  readonly backends: readonly {
    readonly name: string;
    readonly succeeded: number;
    readonly failed: number;
    readonly inFlight: number;
    readonly pendingTokens: number;
    readonly ejected: boolean;
  }[];
  readonly pools: readonly { readonly model: string; readonly heldTokens: number }[];
  readonly stateAgeMs: number;
  readonly liveRequests: number;
  readonly draining: boolean;
};

export type ProxyCondition = ProxyNode & {
  /** Since the control plane last heard of it. */
  readonly seenMs: number;
  /** It reported within the last seconds. */
  readonly isFresh: boolean;
  /** Fresh, with a policy in force, and not on its way out. */
  readonly isReady: boolean;
  readonly applied: Version | undefined;
  readonly stateAgeMs: number;
  readonly liveRequests: number;
  readonly draining: boolean;
  /** Why it refused the newest push; empty when it has accepted one since. */
  readonly refused: readonly Problem[];
};

export type BackendCondition = {
  /** ejected: more proxies keep it out than had success with it lately. unknown: no fresh proxy of its region. */
  readonly state: "available" | "ejected" | "unknown";
  readonly inFlight: number;
  /** Tokens still to do of what is in flight. */
  readonly pendingTokens: number;
  readonly ejectedBy: number;
  /** Last ten seconds. */
  readonly succeeded: number;
  readonly failed: number;
};

export type Proxies = {
  /** false: there is no room; tell the proxy to go elsewhere. */
  readonly greet: (node: ProxyNode, now: Instant, held?: Version) => boolean;
  readonly ack: (node: ProxyNode, version: Version, now: Instant) => void;
  readonly nack: (node: ProxyNode, problems: readonly Problem[], now: Instant) => void;
  /** false: there is no room for one more proxy. */
  readonly report: (node: ProxyNode, report: ProxyReport, now: Instant) => boolean;
  /** Sorted by region and id. */
  readonly list: (now: Instant) => readonly ProxyCondition[];
  /** What a region's proxies hold of one of its backends. */
  readonly backend: (region: string, name: string, now: Instant) => BackendCondition;
  /** Tokens of requests that a region's proxies hold, by model. */
  readonly heldTokens: (region: string, now: Instant) => ReadonlyMap<string, number>;
  /** Forgets the silent; to be called now and then. */
  readonly prune: (now: Instant) => void;
};

/** Source of proxiesMax: measurement in reference 1.5, 2,000 proxies per process at most. */
export const fleetLimits = {
  proxiesMax: 2_000,
  backendsMax: 10_000,
  refusedMax: 16,
  /** Of one proxy: models that it holds requests for. */
  heldMax: 2_000,
  /** A proxy reports each second. */
  freshMs: 5_000,
  /** How long a success speaks for a backend. */
  witnessMs: 10_000,
  forgetMs: 600_000,
} as const;

type Entry = {
  node: ProxyNode;
  seenAt: Instant;
  reportedAt: Instant;
  applied: Version | undefined;
  refused: readonly Problem[];
  stateAgeMs: number;
  liveRequests: number;
  draining: boolean;
  /** By model. */
  heldTokens: ReadonlyMap<string, number>;
  readonly backends: Map<string, Witness>;
};

/** What one proxy says of one backend. */
type Witness = {
  ejected: boolean;
  inFlight: number;
  pendingTokens: number;
  succeededAt: Instant;
};

const never = Number.NEGATIVE_INFINITY;

export function createProxies(proxiesMax: number = fleetLimits.proxiesMax): Proxies {
  const entries = new Map<string, Entry>();
  const counts = createBackendCounts(fleetLimits.backendsMax);

  /** undefined: there is no room. */
  function touch(node: ProxyNode, now: Instant): Entry | undefined {
    const key = `${node.region}/${node.id}`;
    let entry = entries.get(key);
    if (entry === undefined) {
      if (entries.size >= proxiesMax && !dropSilent(entries, now)) return undefined;
      entry = newEntry(node, now);
      entries.set(key, entry);
    }
    entry.node = node;
    entry.seenAt = now;
    return entry;
  }

  return {
    greet: (node, now, held) => {
      const entry = touch(node, now);
      if (entry !== undefined) entry.applied = held;
      return entry !== undefined;
    },
    ack: (node, version, now) => {
      const entry = touch(node, now);
      if (entry !== undefined) Object.assign(entry, { applied: version, refused: [] });
    },
    nack: (node, problems, now) => {
      const entry = touch(node, now);
      if (entry !== undefined) entry.refused = problems.slice(0, fleetLimits.refusedMax);
    },
    report: (node, report, now) => {
      const entry = touch(node, now);
      if (entry === undefined) return false;
      takeReport(entry, report, now);
      for (const each of report.backends) {
        if (each.succeeded + each.failed > 0) counts.add(`${node.region}/${each.name}`, each, now);
      }
      return true;
    },
    list: (now) =>
      [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => conditionOf(entry, now)),
    backend: (region, name, now) => ({
      ...hear(entries.values(), region, name, now),
      ...counts.sum(`${region}/${name}`, now),
    }),
    heldTokens: (region, now) => sumHeld(entries.values(), region, now),
    prune: (now) => {
      counts.prune(now);
      for (const [key, { seenAt }] of entries) {
        if (seenAt <= now - fleetLimits.forgetMs) entries.delete(key);
      }
    },
  };
}

function newEntry(node: ProxyNode, now: Instant): Entry {
  return {
    node,
    seenAt: now,
    reportedAt: never,
    applied: undefined,
    refused: [],
    stateAgeMs: 0,
    liveRequests: 0,
    draining: false,
    heldTokens: new Map(),
    backends: new Map(),
  };
}

/** Makes room by forgetting the proxy that has been silent longest, if it is not fresh. */
function dropSilent(entries: Map<string, Entry>, now: Instant): boolean {
  let silent: string | undefined;
  let since = now - fleetLimits.freshMs;
  for (const [key, { seenAt }] of entries) {
    if (seenAt > since) continue;
    since = seenAt;
    silent = key;
  }
  return silent !== undefined && entries.delete(silent);
}

function takeReport(entry: Entry, report: ProxyReport, now: Instant): void {
  entry.reportedAt = now;
  entry.applied = report.applied ?? entry.applied;
  entry.stateAgeMs = report.stateAgeMs;
  entry.liveRequests = report.liveRequests;
  entry.draining = report.draining;
  const held = report.pools.filter((each) => each.heldTokens > 0).slice(0, fleetLimits.heldMax);
  entry.heldTokens = new Map(held.map((each) => [each.model, each.heldTokens]));
  forgetOldWitness(entry, now);
  for (const { name, ejected, inFlight, pendingTokens, succeeded } of report.backends) {
    if (entry.backends.size >= fleetLimits.backendsMax) break;
    const succeededAt = succeeded > 0 ? now : (entry.backends.get(name)?.succeededAt ?? never);
    entry.backends.set(name, { ejected, inFlight, pendingTokens, succeededAt });
  }
}

/** A backend that the next report does not name has nothing in flight and is not kept out; its successes still count. */
function forgetOldWitness(entry: Entry, now: Instant): void {
  for (const [name, witness] of entry.backends) {
    witness.ejected = false;
    witness.inFlight = 0;
    witness.pendingTokens = 0;
    if (witness.succeededAt <= now - fleetLimits.witnessMs) entry.backends.delete(name);
  }
}

function isFresh(entry: Entry, now: Instant): boolean {
  return entry.reportedAt > now - fleetLimits.freshMs;
}

function conditionOf(entry: Entry, now: Instant): ProxyCondition {
  const { applied, stateAgeMs, liveRequests, draining, refused } = entry;
  const fresh = isFresh(entry, now);
  return {
    ...entry.node,
    seenMs: now - entry.seenAt,
    isFresh: fresh,
    isReady: fresh && applied !== undefined && !draining,
    applied,
    stateAgeMs,
    liveRequests,
    draining,
    refused,
  };
}

function sumHeld(entries: Iterable<Entry>, region: string, now: Instant): Map<string, number> {
  const sums = new Map<string, number>();
  for (const entry of entries) {
    if (entry.heldTokens.size === 0 || entry.node.region !== region || !isFresh(entry, now))
      continue;
    for (const [model, tokens] of entry.heldTokens) {
      sums.set(model, (sums.get(model) ?? 0) + tokens);
    }
  }
  return sums;
}

/**
 * Pools what proxies say. One that merely sends nothing to a backend is no witness for it; so those that keep it out
 * are weighed against those that had success with it lately.
 */
function hear(
  entries: Iterable<Entry>,
  region: string,
  name: string,
  now: Instant,
): Omit<BackendCondition, "succeeded" | "failed"> {
  let fresh = 0;
  let inFlight = 0;
  let pendingTokens = 0;
  let ejectedBy = 0;
  let vouchedBy = 0;
  for (const entry of entries) {
    if (entry.node.region !== region || !isFresh(entry, now)) continue;
    fresh += 1;
    const witness = entry.backends.get(name);
    inFlight += witness?.inFlight ?? 0;
    pendingTokens += witness?.pendingTokens ?? 0;
    if (witness?.ejected === true) ejectedBy += 1;
    else if ((witness?.succeededAt ?? never) > now - fleetLimits.witnessMs) vouchedBy += 1;
  }
  const state = fresh === 0 ? "unknown" : ejectedBy > vouchedBy ? "ejected" : "available";
  return { state, inFlight, pendingTokens, ejectedBy };
}
