// The health of one backend as a value, and what a tick makes of it. Sequential tests take it out, a time alone brings it
// before the next test, and that one lets it back in, slowly. Pure: the same ticks give the same verdicts everywhere.

import type { Instant } from "../base/index.ts";
import {
  goodEventsToAccept,
  type SprtLimits,
  sprtLimits,
  sprtVerdict,
  stepCusum,
  stepSprt,
} from "../stats/index.ts";
import type { HealthCounts } from "./health-counts.ts";
import { againstCommonCause, type HealthTests, type Signal, signals } from "./health-tests.ts";

export type HealthVerdict = "healthy" | "degraded" | "unhealthy";

/** in: takes part. out: takes nothing until a time. proving: probes and a trickle. returning: growing share. */
export type HealthPhase = "in" | "out" | "proving" | "returning";

/** How much one signal says, and since when: the sum left 0 at `since`, and saw so much from there on. */
export type SignalState = {
  readonly sum: number;
  readonly n: number;
  readonly bad: number;
  readonly since: Instant;
  /** When it last alarmed; −Infinity: never. */
  readonly alarmedAt: Instant;
};

export type BackendHealth = {
  readonly phase: HealthPhase;
  /** Start of the phase. */
  readonly since: Instant;
  /** End of the phase "out". */
  readonly until: Instant;
  readonly signals: { readonly [S in Signal]: SignalState };
  /** Ejections that are remembered: the exponent of the next one's time. */
  readonly ejections: number;
  readonly ejectedAt: Instant;
  /** The test for the return, since the phase "proving" began. */
  readonly proof: Proof;
  readonly canariesWrongInRow: number;
  /** Why it is what it is, for people. */
  readonly reason: string;
};

export type Proof = {
  readonly sum: number;
  readonly n: number;
  readonly bad: number;
  readonly canariesRightInRow: number;
};

/** Durations in milliseconds. Scale them all and the ticks, and the verdicts are the same at the scaled times. */
export type HealthTimes = {
  readonly ejectBaseMs: number;
  readonly ejectCapMs: number;
  /** So long without an ejection forgets one of them. */
  readonly forgiveMs: number;
  /** Least time that an alarm degrades. */
  readonly degradedMs: number;
  readonly slowStartMs: number;
};

export const healthTimes: HealthTimes = {
  ejectBaseMs: 10_000,
  ejectCapMs: 300_000,
  forgiveMs: 300_000,
  degradedMs: 60_000,
  slowStartMs: 60_000,
};

/** The return: 20 % failing is bad, 2 % is good; a bad one is let in once in 1,000, a good one sent back once in 20. */
export const returnLimits: SprtLimits = sprtLimits({
  good: 0.02,
  bad: 0.2,
  badTakenForGood: 0.001,
  goodTakenForBad: 0.05,
});

/** Canaries that must be right in a row, or, wrong in a row, are an outage. */
export const canariesInRow = 3;

/** What a local ejection counts as in each tick that it lasts: it stops the requests that would be the evidence. */
const ejectionWeight = 3;

/** What the tick is judged against. */
export type TickContext = {
  readonly tests: HealthTests;
  readonly times: HealthTimes;
  /** Rates of bad events of the pool's other backends, for the guard against a common cause. */
  readonly others: {
    readonly failure: number;
    /** Of the newest ticks alone. */
    readonly failureNow: number;
    readonly slow: number;
  };
  /** false: most of the pool alarms together; it is not the backends, and none is taken out. */
  readonly mayEject: boolean;
  /** Nothing is there to ask for canaries: the return does without. */
  readonly hasCanary: boolean;
};

export function newBackendHealth(now: Instant): BackendHealth {
  const blank = { sum: 0, n: 0, bad: 0, since: now, alarmedAt: Number.NEGATIVE_INFINITY };
  return {
    phase: "in",
    since: now,
    until: now,
    signals: { failure: blank, slow: blank, wrong: blank, outage: blank, probe: blank },
    ejections: 0,
    ejectedAt: Number.NEGATIVE_INFINITY,
    proof: noProof,
    canariesWrongInRow: 0,
    reason: "nothing speaks against it",
  };
}

const noProof: Proof = { sum: 0, n: 0, bad: 0, canariesRightInRow: 0 };

/**
 * One tick: what was seen since the last one, and what follows.
 *
 * @example
 * let health = newBackendHealth(now);
 * health = tickHealth(health, counts, context, now);
 * verdictOf(health, healthTimes, now); // "healthy"
 */
export function tickHealth(
  health: BackendHealth,
  counts: HealthCounts,
  context: TickContext,
  now: Instant,
): BackendHealth {
  switch (health.phase) {
    case "in":
    case "returning":
      return tickServing(health, counts, context, now);
    case "out":
      return now >= health.until ? startProving(health, now) : health;
    case "proving":
      return tickProof(health, counts, context, now);
  }
}

function tickServing(
  health: BackendHealth,
  counts: HealthCounts,
  context: TickContext,
  now: Instant,
): BackendHealth {
  const after = { ...health, signals: stepSignals(health, counts, context, now) };
  const canariesWrongInRow = wrongInRow(health.canariesWrongInRow, counts);
  const outage = outageReason(after, { ...context, canariesWrongInRow });
  if (outage !== undefined && context.mayEject) return eject(after, outage, context.times, now);
  const alarmed = signals.filter((signal) => after.signals[signal].alarmedAt === now);
  // A backend on its way back that alarms starts its way again.
  const isSetBack = health.phase === "returning" && alarmed.length > 0;
  const isBack =
    health.phase === "returning" && !isSetBack && now - health.since >= context.times.slowStartMs;
  return {
    ...after,
    canariesWrongInRow,
    phase: isBack ? "in" : health.phase,
    since: isBack || isSetBack ? now : health.since,
    reason: reasonFor(after, alarmed, outage, health.reason),
  };
}

/** The sums after the tick; one that alarms stays at its threshold until good events bring it down. */
function stepSignals(
  health: BackendHealth,
  counts: HealthCounts,
  { tests, others }: TickContext,
  now: Instant,
): BackendHealth["signals"] {
  const held = counts.ejectedBy * ejectionWeight;
  const requests = { n: counts.requests + held, bad: counts.failed + held };
  const step = (signal: Signal, seen: Seen, othersRate: number): SignalState =>
    stepSignal(health.signals[signal], seen, {
      test: againstCommonCause(signal, tests[signal], othersRate),
      now,
    });
  return {
    failure: step("failure", requests, others.failure),
    slow: step("slow", { n: counts.timed, bad: counts.slow }, others.slow),
    wrong: step("wrong", { n: counts.canaries, bad: counts.canariesWrong }, 0),
    outage: step("outage", requests, Math.max(others.failure, others.failureNow)),
    probe: step("probe", { n: counts.probes, bad: counts.probesFailed }, 0),
  };
}

type Seen = { readonly n: number; readonly bad: number };

function stepSignal(
  state: SignalState,
  seen: Seen,
  { test, now }: { readonly test: HealthTests[Signal]; readonly now: Instant },
): SignalState {
  if (seen.n === 0) return state;
  const sum = stepCusum(state.sum, seen, test);
  if (sum === 0) return { ...state, sum: 0, n: 0, bad: 0, since: now };
  const wasCalm = state.sum === 0;
  return {
    sum: Math.min(sum, test.h),
    n: (wasCalm ? 0 : state.n) + seen.n,
    bad: (wasCalm ? 0 : state.bad) + seen.bad,
    since: wasCalm ? now : state.since,
    alarmedAt: sum >= test.h ? now : state.alarmedAt,
  };
}

/** Right ones of the same tick can't be put before or after wrong ones: any right one ends the row. */
function wrongInRow(before: number, { canaries, canariesWrong }: HealthCounts): number {
  if (canaries === 0) return before;
  return canariesWrong < canaries ? 0 : before + canariesWrong;
}

function outageReason(
  { signals: states }: BackendHealth,
  { tests, canariesWrongInRow }: TickContext & { readonly canariesWrongInRow: number },
): string | undefined {
  const { outage, probe } = states;
  if (outage.sum >= tests.outage.h) return `${outage.bad} of ${outage.n} requests failed`;
  if (probe.sum >= tests.probe.h) return `${probe.bad} of ${probe.n} probes failed`;
  if (canariesWrongInRow >= canariesInRow) return `${canariesWrongInRow} wrong answers in a row`;
  return undefined;
}

function reasonFor(
  { signals: states }: BackendHealth,
  alarmed: readonly Signal[],
  outage: string | undefined,
  before: string,
): string {
  if (outage !== undefined) return `${outage}, but most of its pool is in the same trouble`;
  const [first] = alarmed;
  if (first === undefined) return before;
  const { bad, n } = states[first];
  return `${bad} of ${n} ${first === "wrong" ? "canaries were wrong" : wordFor(first)}`;
}

function wordFor(signal: Signal): string {
  if (signal === "slow") return "waits were slow";
  return signal === "probe" ? "probes failed" : "requests failed";
}

/** Takes it out for a while that doubles with each time that is still remembered. */
function eject(
  health: BackendHealth,
  reason: string,
  times: HealthTimes,
  now: Instant,
): BackendHealth {
  const quietMs = now - health.ejectedAt;
  const forgiven = Number.isFinite(quietMs) ? Math.floor(quietMs / times.forgiveMs) : 0;
  const ejections = Math.max(0, health.ejections - forgiven) + 1;
  const outMs = Math.min(times.ejectCapMs, times.ejectBaseMs * 2 ** Math.min(ejections - 1, 20));
  return {
    ...health,
    phase: "out",
    since: now,
    until: now + outMs,
    ejections,
    ejectedAt: now,
    proof: noProof,
    canariesWrongInRow: 0,
    reason,
  };
}

function startProving(health: BackendHealth, now: Instant): BackendHealth {
  return { ...health, phase: "proving", since: now, proof: noProof };
}

/** Probes and a trickle of requests are the test's events; canaries are asked for beside it. */
function tickProof(
  health: BackendHealth,
  counts: HealthCounts,
  context: TickContext,
  now: Instant,
): BackendHealth {
  const proof = addToProof(health.proof, counts);
  const verdict = sprtVerdict(proof.sum, returnLimits);
  if (verdict === "bad" || counts.canariesWrong > 0) {
    const what = verdict === "bad" ? `${proof.bad} of ${proof.n} tries failed` : "a wrong answer";
    return eject({ ...health, proof }, `did not prove itself: ${what}`, context.times, now);
  }
  const isAnswering = !context.hasCanary || proof.canariesRightInRow >= canariesInRow;
  if (verdict !== "good" || !isAnswering) return { ...health, proof };
  return {
    ...newBackendHealth(now),
    phase: "returning",
    ejections: health.ejections,
    ejectedAt: health.ejectedAt,
    proof,
    reason: `proved itself: ${proof.n - proof.bad} of ${proof.n} tries were good`,
  };
}

/** Bad events first: within a tick the order is not known, and the return is not given away by it. */
function addToProof(proof: Proof, counts: HealthCounts): Proof {
  const bad = counts.failed + counts.probesFailed;
  const n = counts.requests + counts.probes;
  let { sum } = proof;
  for (let each = 0; each < n && sprtVerdict(sum, returnLimits) !== "bad"; each++) {
    // Enough is enough: a sum that passed the bound waits there for the canaries, and can still fall.
    sum = Math.min(returnLimits.accept, stepSprt(sum, each < bad, returnLimits));
  }
  const isWrong = counts.canariesWrong > 0;
  return {
    sum,
    n: proof.n + n,
    bad: proof.bad + bad,
    canariesRightInRow: isWrong ? 0 : proof.canariesRightInRow + counts.canaries,
  };
}

/** Latency alone, and failures below an outage, only degrade: at least for a while, and until the sum has come down. */
export function verdictOf(health: BackendHealth, times: HealthTimes, now: Instant): HealthVerdict {
  if (health.phase === "out" || health.phase === "proving") return "unhealthy";
  const isDegraded = signals.some((signal) => holdsAlarm(health.signals[signal], times, now));
  return isDegraded || health.canariesWrongInRow >= canariesInRow ? "degraded" : "healthy";
}

/** The signal's last alarm still degrades. Once its sum was 0, what comes after that is no part of it. */
export function holdsAlarm(
  { alarmedAt, since, sum }: SignalState,
  { degradedMs }: HealthTimes,
  now: Instant,
): boolean {
  if (!Number.isFinite(alarmedAt)) return false;
  return now - alarmedAt < degradedMs || (sum > 0 && since <= alarmedAt);
}

/** Share of its weight in the policy, 0 to 1. While it proves itself it gets a trickle by another way. */
export function shareOf(health: BackendHealth, times: HealthTimes, now: Instant): number {
  const verdict = verdictOf(health, times, now);
  if (verdict === "unhealthy") return 0;
  const ramp =
    health.phase === "returning"
      ? Math.min(1, Math.max(0.1, (now - health.since) / times.slowStartMs))
      : 1;
  return verdict === "degraded" ? ramp / 2 : ramp;
}

/** Good tries in a row that a proving backend still lacks. */
export function triesToReturn(health: BackendHealth): number {
  return goodEventsToAccept(health.proof.sum, returnLimits);
}
