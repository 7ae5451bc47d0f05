// A pool's backends judged together: what troubles most of them at once is not theirs. See backend-health.ts.

import type { Instant } from "../base/index.ts";
import {
  type BackendHealth,
  type HealthTimes,
  newBackendHealth,
  tickHealth,
} from "./backend-health.ts";
import { type HealthCounts, noCounts } from "./health-counts.ts";
import { type HealthTests, type Signal, signals } from "./health-tests.ts";
import { canariesInRow } from "./return-proof.ts";
import type { OthersRates } from "./signal-states.ts";

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

const noRecent: Recent = {
  requests: 0,
  failed: 0,
  timed: 0,
  slow: 0,
  requestsNow: 0,
  failedNow: 0,
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
/** So many requests of late, and no larger share of them failed: the backend plainly works. */
const answeringMin = 10;
const answeringFailed = 0.1;
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
    const { health, recent } = members.get(name) ?? newMember(clock.now);
    const isAnswering = goesWell(recent);
    const seen = counts.get(name) ?? noCounts;
    const against = { tests, times, others, hasCanary, mayEject, isAnswering };
    return tickHealth(health, seen, against, clock.now);
  };
  // Twice, since who alarms in this very tick counts as well: a common cause strikes all at the same moment.
  const alarmed = new Map(names.map((name) => [name, judge(name, false)]));
  const after = new Map<string, Member>();
  for (const [name, { recent }] of members) {
    const isShared = isCommon(neighbours.get(name) ?? [], alarmed, context, clock);
    const mayEject = !isShared || isHard(counts.get(name) ?? noCounts);
    after.set(name, { health: judge(name, mayEject), recent });
  }
  return { backends: after };
}

/** Passive evidence goes before active: of the last ten seconds or so, refused connections apart. */
function goesWell({ requests, failed }: Recent): boolean {
  return requests >= answeringMin && failed <= answeringFailed * requests;
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

function ratesOf(names: readonly string[], members: ReadonlyMap<string, Member>): OthersRates {
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
  backends: ReadonlyMap<string, BackendHealth>,
  { tests }: FleetContext,
  { now, tickMs }: { readonly now: Instant; readonly tickMs: number },
): boolean {
  if (neighbours.length + 1 < commonPoolMin) return false;
  const troubled = neighbours.filter((name) => {
    const health = backends.get(name);
    if (health === undefined) return false;
    const isLate = (at: Instant): boolean => now - at <= commonTicks * tickMs;
    if (health.phase === "out") return isLate(health.ejectedAt);
    if (health.canariesWrongInRow >= canariesInRow) return true;
    if (failing.some((signal) => health.signals[signal].sum >= tests[signal].h / 2)) return true;
    // Slowness takes nobody out: it is no reason to keep in who fails.
    return signals.some((signal) => signal !== "slow" && isLate(health.signals[signal].alarmedAt));
  });
  return (troubled.length + 1) / (neighbours.length + 1) > commonShare;
}

function isHard({ failed, connectFailed, ejectedBy, requests }: HealthCounts): boolean {
  if (failed > 0) return connectFailed >= hardShare * failed;
  return ejectedBy > 0 && requests === 0;
}
