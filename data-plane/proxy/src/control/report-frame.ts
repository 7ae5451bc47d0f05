// What the engine counted, as the report that goes up: differences since the last report.

import { create } from "@bufbuild/protobuf";
import type { EngineReport, PoolTotals, TargetReport } from "@meridian/data-core/engine";
import type { Instant } from "@meridian/proto/base";
import {
  type BackendReport,
  BackendReportSchema,
  type Node,
  type PoolReport,
  PoolReportSchema,
  type ReportFrame,
  ReportFrameSchema,
} from "@meridian/proto/gen/sync_pb";
import type { ProbeCounts } from "../probe/prober.ts";

export type ReportMaker = {
  readonly make: (
    sequence: bigint,
    report: EngineReport,
    at: { readonly draining: boolean; readonly now: Instant },
  ) => ReportFrame;
};

/** What the prober counted of a backend since it started; undefined: this proxy has not probed it. */
export type ProbeReadings = (backend: string) => ProbeCounts | undefined;

const neverMs = 0xffff_ffff;

/** What was seen longer ago says nothing about now. */
const countedMs = 10_000;

/**
 * Counts of a report that is lost on its way are lost: counting them twice could raise a false alarm. So are those of a
 * time without a control plane: hours of them would come as if they were of one second.
 */
export function createReportMaker(
  node: Node,
  probes: ProbeReadings,
  startedAt: Instant,
): ReportMaker {
  let former = new Map<string, Reading>();
  let formerPools = new Map<string, PoolTotals>();
  let madeAt = startedAt;
  return {
    make: (sequence, report, { draining, now }) => {
      const readings = report.backends.map((each) => ({
        ...each,
        probe: copyOf(probes(each.name)),
      }));
      const current = new Map(readings.map((each) => [each.name, each]));
      const currentPools = new Map(report.pools.map((each) => [each.model, each]));
      if (now - madeAt > countedMs) {
        former = current;
        formerPools = currentPools;
      }
      const backends = readings.map((each) => difference(former.get(each.name), each));
      const pools = report.pools.flatMap((each) => poolReport(formerPools.get(each.model), each));
      former = current;
      formerPools = currentPools;
      madeAt = now;
      return create(ReportFrameSchema, {
        node,
        sequence,
        ...(report.version === undefined ? {} : { applied: report.version }),
        backends,
        stateAgeMs: Math.min(neverMs, Math.round(report.stateAgeMs ?? neverMs)),
        liveRequests: report.liveRequests,
        draining,
        requests: BigInt(report.requests),
        pools,
      });
    },
  };
}

type Reading = TargetReport & { readonly probe: ProbeCounts | undefined };

/** The prober counts on in its own object. */
function copyOf(counts: ProbeCounts | undefined): ProbeCounts | undefined {
  return counts === undefined ? undefined : { ...counts };
}

function difference(before: Reading | undefined, now: Reading): BackendReport {
  return create(BackendReportSchema, {
    ...probeDifference(before?.probe, now),
    name: now.name,
    started: grown(before?.started, now.started),
    succeeded: grown(before?.succeeded, now.succeeded),
    failed: grown(before?.failed, now.failed),
    connectFailed: grown(before?.connectFailed, now.connectFailed),
    // A canary's time is judged like a request's first token.
    timed: grown(before?.timed, now.timed) + grown(before?.probe?.timed, now.probe?.timed ?? 0),
    slow: grown(before?.slow, now.slow) + grown(before?.probe?.slow, now.probe?.slow ?? 0),
    inFlight: now.inFlight,
    ejected: now.ejected,
    pendingTokens: Math.max(0, now.pendingTokens),
    doneTokens: whole(grown(before?.doneTokens, now.doneTokens)),
    ...(now.waiting === undefined ? {} : { waiting: whole(now.waiting) }),
  });
}

/** Of a model that nobody asks for nothing is said. */
function poolReport(before: PoolTotals | undefined, now: PoolTotals): readonly PoolReport[] {
  const requests = grown(before?.requests, now.requests);
  const sentAway = grown(before?.sentAway, now.sentAway);
  if (requests === 0 && sentAway === 0 && now.held === 0) return [];
  const tokens = whole(grown(before?.tokens, now.tokens));
  const { model, held, heldTokens } = now;
  return [create(PoolReportSchema, { model, requests, tokens, sentAway, held, heldTokens })];
}

/** Token counts are fractions once they are corrected by what requests use. */
function whole(count: number): number {
  return Math.min(0xffff_ffff, Math.round(count));
}

function probeDifference(before: ProbeCounts | undefined, { probe, canaryVector }: Reading) {
  if (probe === undefined) return {};
  return {
    probes: grown(before?.probes, probe.probes),
    probesFailed: grown(before?.probesFailed, probe.probesFailed),
    canaries: grown(before?.canaries, probe.canaries),
    canariesWrong: grown(before?.canariesWrong, probe.canariesWrong),
    canaryTokensPerDay: probe.canaryTokensPerDay,
    // Sent until the control plane has one to compare with.
    canaryVector: canaryVector.length > 0 ? [] : [...probe.canaryVector],
  };
}

/** A backend that was removed and named again counts from nothing. */
export function grown(before: number | undefined, now: number): number {
  return before === undefined || before > now ? now : now - before;
}
