// What the engine counted, as the report that goes up: differences since the last report.

import { create } from "@bufbuild/protobuf";
import type { EngineReport, TargetReport } from "@meridian/data-core/engine";
import {
  type BackendReport,
  BackendReportSchema,
  type Node,
  type ReportFrame,
  ReportFrameSchema,
} from "@meridian/proto/gen/sync_pb";

export type ReportMaker = {
  readonly make: (sequence: bigint, report: EngineReport, draining: boolean) => ReportFrame;
};

const neverMs = 0xffff_ffff;

/** Counts of a report that is lost on its way are lost: counting them twice could raise a false alarm. */
export function createReportMaker(node: Node): ReportMaker {
  let former = new Map<string, TargetReport>();
  return {
    make: (sequence, report, draining) => {
      const backends = report.backends.map((each) => difference(former.get(each.name), each));
      former = new Map(report.backends.map((each) => [each.name, each]));
      return create(ReportFrameSchema, {
        node,
        sequence,
        ...(report.version === undefined ? {} : { applied: report.version }),
        backends,
        stateAgeMs: Math.min(neverMs, Math.round(report.stateAgeMs ?? neverMs)),
        liveRequests: report.liveRequests,
        draining,
        requests: BigInt(report.requests),
      });
    },
  };
}

function difference(before: TargetReport | undefined, now: TargetReport): BackendReport {
  return create(BackendReportSchema, {
    name: now.name,
    started: grown(before?.started, now.started),
    succeeded: grown(before?.succeeded, now.succeeded),
    failed: grown(before?.failed, now.failed),
    inFlight: now.inFlight,
    ejected: now.ejected,
  });
}

/** A backend that was removed and named again counts from nothing. */
function grown(before: number | undefined, now: number): number {
  return before === undefined || before > now ? now : now - before;
}
