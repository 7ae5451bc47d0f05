// The health of one backend as a value, and what a tick makes of it. Sequential tests take it out, a time alone brings it
// before the next test, and that one lets it back in, slowly. Pure: the same ticks give the same verdicts everywhere.

import type { Instant } from "../base/index.ts";
import type { HealthCounts } from "./health-counts.ts";
import { type HealthTests, type Signal, signals } from "./health-tests.ts";
import { addToProof, canariesInRow, noProof, type Proof, proofVerdict } from "./return-proof.ts";
import {
  calmSignals,
  cleared,
  type OthersRates,
  type SignalState,
  type SignalStates,
  stepSignals,
} from "./signal-states.ts";

export type HealthVerdict = "healthy" | "degraded" | "unhealthy";

/** in: takes part. out: takes nothing until a time. proving: probes and a trickle. returning: growing share. */
export type HealthPhase = "in" | "out" | "proving" | "returning";

export type BackendHealth = {
  readonly phase: HealthPhase;
  /** Start of the phase. */
  readonly since: Instant;
  /** End of the phase "out". */
  readonly until: Instant;
  readonly signals: SignalStates;
  /** Ejections that are remembered: the exponent of the next one's time. */
  readonly ejections: number;
  readonly ejectedAt: Instant;
  /** It takes part and nothing has alarmed since; moved on with each ejection that is forgotten. */
  readonly goodSince: Instant;
  /** −Infinity: it has never been out. */
  readonly returnedAt: Instant;
  /** The test for the return, since the phase "proving" began. */
  readonly proof: Proof;
  readonly canariesWrongInRow: number;
  /** The newest tick with a probe in it. */
  readonly probedAt: Instant;
  /** Why it is what it is, for people. */
  readonly reason: string;
};

/** Durations in milliseconds. Scale them all and the ticks, and the verdicts are the same at the scaled times. */
export type HealthTimes = {
  readonly ejectBaseMs: number;
  readonly ejectCapMs: number;
  /** So long in service without an alarm forgets one ejection. Time that it is out proves nothing. */
  readonly forgiveMs: number;
  /** Least time that an alarm degrades. */
  readonly degradedMs: number;
  readonly slowStartMs: number;
  /** After a return what is usual of its first tokens stays what it was for so long: the way back is no usual time. */
  readonly frozenMs: number;
  /** After so long without any, the results of former probes say nothing more. */
  readonly probesOldMs: number;
};

export const healthTimes: HealthTimes = {
  ejectBaseMs: 10_000,
  ejectCapMs: 300_000,
  forgiveMs: 300_000,
  degradedMs: 60_000,
  slowStartMs: 60_000,
  frozenMs: 600_000,
  probesOldMs: 10_000,
};

/** What the tick is judged against. */
export type TickContext = {
  readonly tests: HealthTests;
  readonly times: HealthTimes;
  /** Rates of bad events of the pool's other backends, for the guard against a common cause. */
  readonly others: OthersRates;
  /** false: most of the pool alarms together; it is not the backends, and none is taken out. */
  readonly mayEject: boolean;
  /** Nothing is there to ask for canaries: the return does without. */
  readonly hasCanary: boolean;
  /** Its requests go well of late: then probes that fail tell of the way from one prober, and take nobody out. */
  readonly isAnswering: boolean;
};

export function newBackendHealth(now: Instant): BackendHealth {
  return {
    phase: "in",
    since: now,
    until: now,
    signals: calmSignals(now),
    ejections: 0,
    ejectedAt: Number.NEGATIVE_INFINITY,
    goodSince: now,
    returnedAt: Number.NEGATIVE_INFINITY,
    proof: noProof,
    canariesWrongInRow: 0,
    probedAt: now,
    reason: "nothing speaks against it",
  };
}

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
  const states = stepSignals(stillTrue(health, counts, context, now), counts, context, now);
  const after = { ...health, signals: states };
  const canariesWrongInRow = hasNoCanary(counts, context)
    ? 0
    : wrongInRow(health.canariesWrongInRow, counts);
  const outage = outageReason(after, { ...context, canariesWrongInRow });
  if (outage !== undefined && context.mayEject) return eject(after, outage, context.times, now);
  const alarmed = signals.filter((signal) => after.signals[signal].alarmedAt === now);
  // A backend on its way back that alarms starts its way again.
  const isSetBack = health.phase === "returning" && alarmed.length > 0;
  const isBack =
    health.phase === "returning" && !isSetBack && now - health.since >= context.times.slowStartMs;
  return {
    ...after,
    ...(alarmed.length > 0 ? { goodSince: now } : forgive(health, context.times, now)),
    canariesWrongInRow,
    probedAt: counts.probes > 0 ? now : health.probedAt,
    phase: isBack ? "in" : health.phase,
    since: isBack || isSetBack ? now : health.since,
    reason: reasonFor(after, alarmed, outage, health.reason),
  };
}

/** Good time in service forgets ejections, one after the other. */
function forgive(
  { ejections, goodSince }: BackendHealth,
  { forgiveMs }: HealthTimes,
  now: Instant,
): Pick<BackendHealth, "ejections" | "goodSince"> {
  const forgiven = Math.floor((now - goodSince) / forgiveMs);
  if (forgiven <= 0) return { ejections, goodSince };
  return {
    ejections: Math.max(0, ejections - forgiven),
    goodSince: goodSince + forgiven * forgiveMs,
  };
}

/** Without what has lost its meaning: probes of long ago, and a canary that the policy no longer has. */
function stillTrue(
  { signals: states, probedAt }: BackendHealth,
  counts: HealthCounts,
  context: TickContext,
  now: Instant,
): SignalStates {
  const areProbesOld = now - probedAt > context.times.probesOldMs;
  const isCanaryGone = hasNoCanary(counts, context);
  if (!areProbesOld && !isCanaryGone) return states;
  return {
    ...states,
    probe: areProbesOld ? cleared(states.probe, now) : states.probe,
    wrong: isCanaryGone ? cleared(states.wrong, now) : states.wrong,
  };
}

/** A canary that the policy no longer has can't take back what it said. */
function hasNoCanary({ canaries }: HealthCounts, { hasCanary }: TickContext): boolean {
  return !hasCanary && canaries === 0;
}

/** Right ones of the same tick can't be put before or after wrong ones: any right one ends the row. */
function wrongInRow(before: number, { canaries, canariesWrong }: HealthCounts): number {
  if (canaries === 0) return before;
  return canariesWrong < canaries ? 0 : before + canariesWrong;
}

function outageReason(
  { signals: states }: BackendHealth,
  { tests, canariesWrongInRow, isAnswering }: TickContext & { readonly canariesWrongInRow: number },
): string | undefined {
  const { outage, probe } = states;
  if (outage.sum >= tests.outage.h) return `${outage.bad} of ${outage.n} requests failed`;
  if (probe.sum >= tests.probe.h && !isAnswering) return `${probe.bad} of ${probe.n} probes failed`;
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
  { ejectBaseMs, ejectCapMs }: HealthTimes,
  now: Instant,
): BackendHealth {
  const ejections = health.ejections + 1;
  return {
    ...health,
    phase: "out",
    since: now,
    until: now + Math.min(ejectCapMs, ejectBaseMs * 2 ** Math.min(ejections - 1, 20)),
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
  const verdict = proofVerdict(proof);
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
    returnedAt: now,
    proof,
    reason: `proved itself: ${proof.n - proof.bad} of ${proof.n} tries were good`,
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

/**
 * What is usual of its first tokens is not learned now: an alarm of slowness builds, it is out or on its way back, or has
 * come back lately.
 */
export function freezesBaseline(
  health: BackendHealth,
  { tests, times }: Pick<TickContext, "tests" | "times">,
  now: Instant,
): boolean {
  return (
    health.phase !== "in" ||
    health.signals.slow.sum > tests.slow.h / 2 ||
    now - health.returnedAt < times.frozenMs
  );
}
