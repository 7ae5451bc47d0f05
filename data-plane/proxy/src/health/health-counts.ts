// One second of a backend, as the judge takes it: differences of what the engine and the prober have counted so far.

import type { TargetReport } from "@meridian/data-core/engine";
import type { HealthCounts } from "@meridian/proto/health";
import { grown } from "../control/report-frame.ts";
import type { ProbeCounts } from "../probe/prober.ts";

/** What was counted of one backend at one moment. */
export type Seen = {
  readonly target: TargetReport;
  /** undefined: this proxy has not probed it. */
  readonly probes: ProbeCounts | undefined;
};

/** `before`: undefined for a backend that is new. */
export function since(before: Seen | undefined, { target, probes }: Seen): HealthCounts {
  const was = before?.target;
  const wasProbed = before?.probes;
  const failed = grown(was?.failed, target.failed);
  const probeGrown = (field: "probes" | "canaries" | "timed" | "slow"): number =>
    grown(wasProbed?.[field], probes?.[field] ?? 0);
  return {
    requests: grown(was?.succeeded, target.succeeded) + failed,
    failed,
    connectFailed: grown(was?.connectFailed, target.connectFailed),
    // A canary's time is judged like a request's first token.
    timed: grown(was?.timed, target.timed) + probeGrown("timed"),
    slow: grown(was?.slow, target.slow) + probeGrown("slow"),
    probes: probeGrown("probes"),
    probesFailed: grown(wasProbed?.probesFailed, probes?.probesFailed ?? 0),
    canaries: probeGrown("canaries"),
    canariesWrong: grown(wasProbed?.canariesWrong, probes?.canariesWrong ?? 0),
    ejectedBy: target.ejected ? 1 : 0,
  };
}
