// What a proxy's engine counted, as the report that goes up: differences since the last. Mirrors the shell's report-frame.

import { create } from "@bufbuild/protobuf";
import type { EngineReport, PoolTotals, TargetReport } from "@meridian/data-core/engine";
import {
  BackendReportSchema,
  type Node,
  PoolReportSchema,
  type ReportFrame,
  ReportFrameSchema,
} from "@meridian/proto/gen/sync_pb";
import type { HealthCounts } from "@meridian/proto/health";

/** What a prober counted of one backend. */
export type ProbeCounts = {
  probes: number;
  probesFailed: number;
  canaries: number;
  canariesWrong: number;
};

/** What was counted of one backend at one moment. */
export type Reading = { readonly target: TargetReport; readonly probes: ProbeCounts | undefined };

const neverMs = 0xffff_ffff;

export class ReportMaker {
  readonly #node: Node;
  readonly #probes: (backend: string) => ProbeCounts | undefined;
  #former = new Map<string, Reading>();
  #formerPools = new Map<string, PoolTotals>();

  constructor(node: Node, probes: (backend: string) => ProbeCounts | undefined) {
    this.#node = node;
    this.#probes = probes;
  }

  make(sequence: bigint, report: EngineReport): ReportFrame {
    const readings = new Map(
      report.backends.map((target) => [target.name, readingOf(target, this.#probes(target.name))]),
    );
    const backends = [...readings].map(([name, now]) => backendReport(this.#former.get(name), now));
    this.#former = readings;
    const pools = report.pools.map((each) => poolReport(this.#formerPools.get(each.model), each));
    this.#formerPools = new Map(report.pools.map((each) => [each.model, each]));
    return create(ReportFrameSchema, {
      node: this.#node,
      sequence,
      ...(report.version === undefined ? {} : { applied: report.version }),
      backends,
      stateAgeMs: Math.min(neverMs, Math.round(report.stateAgeMs ?? neverMs)),
      liveRequests: report.liveRequests,
      requests: BigInt(report.requests),
      pools: pools.filter((each) => each.requests + each.sentAway + each.held > 0),
    });
  }
}

export function readingOf(target: TargetReport, probes: ProbeCounts | undefined): Reading {
  return { target, probes: probes === undefined ? undefined : { ...probes } };
}

/** One second of a backend as the judge takes it. */
export function countsSince(before: Reading | undefined, now: Reading): HealthCounts {
  const was = before?.target;
  const { target, probes } = now;
  const failed = grown(was?.failed, target.failed);
  const probed = (field: keyof ProbeCounts): number =>
    grown(before?.probes?.[field], probes?.[field] ?? 0);
  return {
    requests: grown(was?.succeeded, target.succeeded) + failed,
    failed,
    connectFailed: grown(was?.connectFailed, target.connectFailed),
    timed: grown(was?.timed, target.timed),
    slow: grown(was?.slow, target.slow),
    probes: probed("probes"),
    probesFailed: probed("probesFailed"),
    canaries: probed("canaries"),
    canariesWrong: probed("canariesWrong"),
    ejectedBy: target.ejected ? 1 : 0,
  };
}

function backendReport(before: Reading | undefined, now: Reading) {
  const { target } = now;
  const was = before?.target;
  const counts = countsSince(before, now);
  return create(BackendReportSchema, {
    name: target.name,
    started: grown(was?.started, target.started),
    succeeded: counts.requests - counts.failed,
    failed: counts.failed,
    connectFailed: counts.connectFailed,
    timed: counts.timed,
    slow: counts.slow,
    probes: counts.probes,
    probesFailed: counts.probesFailed,
    canaries: counts.canaries,
    canariesWrong: counts.canariesWrong,
    inFlight: target.inFlight,
    ejected: target.ejected,
    pendingTokens: whole(target.pendingTokens),
    doneTokens: whole(grown(was?.doneTokens, target.doneTokens)),
    ...(target.waiting === undefined ? {} : { waiting: whole(target.waiting) }),
  });
}

function poolReport(before: PoolTotals | undefined, now: PoolTotals) {
  return create(PoolReportSchema, {
    model: now.model,
    requests: grown(before?.requests, now.requests),
    tokens: whole(grown(before?.tokens, now.tokens)),
    sentAway: grown(before?.sentAway, now.sentAway),
    held: now.held,
    heldTokens: whole(now.heldTokens),
  });
}

/** A backend that was removed and named again counts from nothing. */
function grown(before: number | undefined, now: number): number {
  return before === undefined || before > now ? now : now - before;
}

function whole(count: number): number {
  return Math.max(0, Math.min(neverMs, Math.round(count)));
}
