// A pool's backends judged together: what troubles most of them at once is not theirs. See backend-health.ts.

import type { Instant } from "../base/index.ts";
import {
  type BackendHealth,
  type HealthTimes,
  newBackendHealth,
  type TickContext,
  tickHealth,
} from "./backend-health.ts";
import { type HealthCounts, noCounts } from "./health-counts.ts";
import { type HealthTests, type Signal, signals } from "./health-tests.ts";

/** Backends by name, what is known of each, and a short memory of their rates. */
export type FleetHealth = { readonly backends: ReadonlyMap<string, Member> };

export type Member = { readonly health: BackendHealth; readonly recent: Recent };

/** Counts that fade: what the others of a pool are compared with. */
type Recent = {
  readonly requests: number;
  readonly failed: number;
  readonly timed: number;
  readonly slow: number;
  /** Of the newest ticks alone. */
  readonly requestsNow: number;
  readonly failedNow: number;
};

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
/** And that of what is new about 2 s: what begins for all at once is seen at once. */
const fadingNow = 0.5;
/** More of a pool than this in trouble within `together` is a common cause. */
const commonShare = 0.6;
const commonTicks = 10;
/** Nobody can be told apart from nobody. */
const commonPoolMin = 2;
/** Chance lets one of them alarm some ticks before the others: these tell that they are on their way. */
const failing = ["failure", "outage", "probe"] as const satisfies readonly Signal[];
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
  const step: Step = { members, counts, context, now: clock.now };
  const stepped = new Map<string, Member>();
  for (const [name, member] of members) {
    stepped.set(name, { ...member, health: stepMember({ name, mayEject: true }, member, step) });
  }
  // Only now: those who alarm together do so in the same tick.
  const after = new Map(stepped);
  for (const [name, member] of members) {
    const isEjected = takesPart(member.health) && stepped.get(name)?.health.phase === "out";
    if (!isEjected || isHard(counts.get(name) ?? noCounts)) continue;
    if (!isCommon(neighboursOf(name, context.pools), stepped, context, clock)) continue;
    after.set(name, { ...member, health: stepMember({ name, mayEject: false }, member, step) });
  }
  return { backends: after };
}

function takesPart({ phase }: BackendHealth): boolean {
  return phase === "in" || phase === "returning";
}

type Step = {
  readonly members: ReadonlyMap<string, Member>;
  readonly counts: ReadonlyMap<string, HealthCounts>;
  readonly context: FleetContext;
  readonly now: Instant;
};

function stepMember(
  { name, mayEject }: { readonly name: string; readonly mayEject: boolean },
  { health }: Member,
  { members, counts, context, now }: Step,
): BackendHealth {
  const { tests, times, pools, withCanary } = context;
  const others = ratesOf(neighboursOf(name, pools), members);
  const hasCanary = withCanary.has(name);
  const against = { tests, times, others, mayEject, hasCanary };
  return tickHealth(health, counts.get(name) ?? noCounts, against, now);
}

function newMember(now: Instant): Member {
  return {
    health: newBackendHealth(now),
    recent: { requests: 0, failed: 0, timed: 0, slow: 0, requestsNow: 0, failedNow: 0 },
  };
}

/** That nobody can connect is no trouble of the requests' that others might share: it is left out. */
function fade(recent: Recent, counts: HealthCounts): Recent {
  const { connectFailed, timed, slow } = counts;
  const requests = counts.requests - connectFailed;
  const failed = counts.failed - connectFailed;
  return {
    requests: recent.requests * fading + requests,
    failed: recent.failed * fading + failed,
    timed: recent.timed * fading + timed,
    slow: recent.slow * fading + slow,
    requestsNow: recent.requestsNow * fadingNow + requests,
    failedNow: recent.failedNow * fadingNow + failed,
  };
}

function neighboursOf(name: string, pools: FleetContext["pools"]): readonly string[] {
  const near = pools.filter((pool) => pool.includes(name)).flat();
  return [...new Set(near)].filter((each) => each !== name);
}

function ratesOf(
  names: readonly string[],
  members: ReadonlyMap<string, Member>,
): TickContext["others"] {
  const sum = { requests: 0, failed: 0, timed: 0, slow: 0, requestsNow: 0, failedNow: 0 };
  for (const name of names) {
    const member = members.get(name);
    // One that is out sees no requests of note, and what took it out is its own.
    if (member === undefined || member.health.phase === "out") continue;
    const { recent } = member;
    sum.requests += recent.requests;
    sum.failed += recent.failed;
    sum.timed += recent.timed;
    sum.slow += recent.slow;
    sum.requestsNow += recent.requestsNow;
    sum.failedNow += recent.failedNow;
  }
  return {
    failure: rateOf(sum.failed, sum.requests),
    failureNow: rateOf(sum.failedNow, sum.requestsNow),
    slow: rateOf(sum.slow, sum.timed),
  };
}

function rateOf(bad: number, n: number): number {
  return n < 1 ? 0 : bad / n;
}

/** Together with this one, most of the pool has alarmed lately, or was taken out, or is half-way there by failures. */
function isCommon(
  neighbours: readonly string[],
  members: ReadonlyMap<string, Member>,
  { tests }: FleetContext,
  { now, tickMs }: { readonly now: Instant; readonly tickMs: number },
): boolean {
  if (neighbours.length + 1 < commonPoolMin) return false;
  const troubled = neighbours.filter((name) => {
    const health = members.get(name)?.health;
    if (health === undefined) return false;
    const isLate = (at: Instant): boolean => now - at <= commonTicks * tickMs;
    if (health.phase === "out") return isLate(health.ejectedAt);
    if (failing.some((signal) => health.signals[signal].sum >= tests[signal].h / 2)) return true;
    return signals.some((signal) => isLate(health.signals[signal].alarmedAt));
  });
  return (troubled.length + 1) / (neighbours.length + 1) > commonShare;
}

function isHard({ failed, connectFailed, ejectedBy, requests }: HealthCounts): boolean {
  if (failed > 0) return connectFailed >= hardShare * failed;
  return ejectedBy > 0 && requests === 0;
}
