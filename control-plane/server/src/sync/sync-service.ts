// The sync service: its lanes, each of its own, so that none blocks another.

import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { PolicyCall, PolicyLane } from "./policy-lane.ts";
import type { QuestionCall, QuestionLane } from "./question-lane.ts";
import type { ReportCall, ReportLane } from "./report-lane.ts";
import type { StateCall, StateLane } from "./state-lane.ts";

export type Lanes = {
  readonly policy: PolicyLane;
  readonly state: StateLane;
  readonly report: ReportLane;
  readonly questions: QuestionLane;
};

export function syncService(lanes: Lanes): UntypedServiceImplementation {
  return {
    policy: (call: PolicyCall) => lanes.policy.serve(call),
    state: (call: StateCall) => lanes.state.serve(call),
    report: (call: ReportCall) => lanes.report.serve(call),
    questions: (call: QuestionCall) => lanes.questions.serve(call),
  };
}
