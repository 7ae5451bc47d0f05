// A pool's backends judged together: what troubles most of them at once is not theirs. See backend-health.ts.

import type { Instant } from "../base/index.ts";
import {
  type BackendHealth,
  type HealthTimes,
  newBackendHealth,
  tickHealth,
} from "./backend-health.ts";
import { type HealthCounts, noCounts } from "./health-counts.ts";
import { type HealthTests, signals } from "./health-tests.ts";
import { canariesInRow } from "./return-proof.ts";

/** Backends by name, what is known of each, and a short memory of their rates. */
export type FleetHealth = { readonly backends: ReadonlyMap<string, Member> };

export type Member = { readonly health: BackendHealth; readonly recent: Recent };

/** Counts that fade: what the others of a pool are compared with. */
type Recent = {
  readonly requests: number;
  readonly failed: number;
  readonly timed: number;
  readonly slow: number;
};

const noRecent: Recent = { requests: 0, failed: 0, timed: 0, slow: 0 };

export const emptyFleet: FleetHealth = { backends: new Map() };

/** What is judged, and by what. */
export type FleetContext = {
  readonly tests: HealthTests;
  readonly times: HealthTimes;
  /** Names of the backends of each pool; a backend may stand in several. */
  readonly pools: readonly (readonly string[])[];
  /** Backends that have a canary. */
  readonly withCanary: ReadonlySet<string>;
};

/** A second's share that is left after a second: the memory is about 10 s long. */
const fading = 0.9;
/** More of a pool than this in trouble within `together` is a common cause. */
const commonShare = 0.6;
const commonTicks = 10;
/** Nobody can be told apart from nobody. */
const commonPoolMin = 2;
/** Failures of which so many are connections refused or unreachable are facts, whoever shares them. */
const hardShare = 0.9;

/**
 * One tick for all. Backends that are new start well; those that no pool has any more are forgotten; all others keep what
 * was learned, whatever else of the policy changed.
 */
export function tickFleet(
  fleet: FleetHealth,
  counts: ReadonlyMap<string, HealthCounts>,
  context: FleetContext,
  clock: { readonly now: Instant; readonly tickMs: number },
): FleetHealth {
  const names = [...new Set(context.pools.flat())];
  const members = new Map<string, Member>();
  for (const name of names) {
    const held = fleet.backends.get(name) ?? newMember(clock.now);
    members.set(name, { ...held, recent: fade(held.recent, counts.get(name) ?? noCounts) });
  }
  const neighbours = new Map(names.map((name) => [name, neighboursOf(name, context.pools)]));
  const judge = (name: string, mayEject: boolean): BackendHealth => {
    const others = ratesOf(neighbours.get(name) ?? [], members);
    const hasCanary = context.withCanary.has(name);
    const { tests, times } = context;
    const health = members.get(name)?.health ?? newBackendHealth(clock.now);
    const seen = counts.get(name) ?? noCounts;
    return tickHealth(health, seen, { tests, times, others, hasCanary, mayEject }, clock.now);
  };
  // Twice, since who alarms in this very tick counts as well: a common cause strikes all at the same moment.
  const alarmed = new Map(names.map((name) => [name, judge(name, false)]));
  const after = new Map<string, Member>();
  for (const [name, { recent }] of members) {
    const isShared = isCommon(neighbours.get(name) ?? [], alarmed, clock);
    const mayEject = !isShared || isHard(counts.get(name) ?? noCounts);
    after.set(name, { health: judge(name, mayEject), recent });
  }
  return { backends: after };
}

/** The fleet with one backend's health set to what is known of it from elsewhere. */
export function withHealth(fleet: FleetHealth, name: string, health: BackendHealth): FleetHealth {
  const recent = fleet.backends.get(name)?.recent ?? noRecent;
  return { backends: new Map(fleet.backends).set(name, { health, recent }) };
}

function newMember(now: Instant): Member {
  return { health: newBackendHealth(now), recent: noRecent };
}

/** That nobody can connect is no trouble of the requests' that others might share: it is left out. */
function fade(recent: Recent, counts: HealthCounts): Recent {
  const { connectFailed, timed, slow } = counts;
  return {
    requests: recent.requests * fading + counts.requests - connectFailed,
    failed: recent.failed * fading + counts.failed - connectFailed,
    timed: recent.timed * fading + timed,
    slow: recent.slow * fading + slow,
  };
}

function neighboursOf(name: string, pools: FleetContext["pools"]): readonly string[] {
  const near = pools.filter((pool) => pool.includes(name)).flat();
  return [...new Set(near)].filter((each) => each !== name);
}

function ratesOf(
  names: readonly string[],
  members: ReadonlyMap<string, Member>,
): { readonly failure: number; readonly slow: number } {
  const sum = { requests: 0, failed: 0, timed: 0, slow: 0 };
  for (const name of names) {
    const member = members.get(name);
    // One that is out sees no requests of note, and what took it out is its own.
    if (member === undefined || member.health.phase === "out") continue;
    sum.requests += member.recent.requests;
    sum.failed += member.recent.failed;
    sum.timed += member.recent.timed;
    sum.slow += member.recent.slow;
  }
  return {
    failure: sum.requests < 1 ? 0 : sum.failed / sum.requests,
    slow: sum.timed < 1 ? 0 : sum.slow / sum.timed,
  };
}

/** Together with this one, most of the pool has alarmed lately or is out. */
function isCommon(
  neighbours: readonly string[],
  backends: ReadonlyMap<string, BackendHealth>,
  { now, tickMs }: { readonly now: Instant; readonly tickMs: number },
): boolean {
  if (neighbours.length + 1 < commonPoolMin) return false;
  const troubled = neighbours.filter((name) => {
    const health = backends.get(name);
    if (health === undefined) return false;
    const isLate = (at: Instant): boolean => now - at <= commonTicks * tickMs;
    if (health.phase === "out") return isLate(health.ejectedAt);
    if (health.canariesWrongInRow >= canariesInRow) return true;
    return signals.some((signal) => isLate(health.signals[signal].alarmedAt));
  });
  return (troubled.length + 1) / (neighbours.length + 1) > commonShare;
}

function isHard({ failed, connectFailed, ejectedBy, requests }: HealthCounts): boolean {
  if (failed > 0) return connectFailed >= hardShare * failed;
  return ejectedBy > 0 && requests === 0;
}
