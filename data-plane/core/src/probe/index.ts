// Active probes: who probes what, when, and whether the answer is right; and what model servers say of their load.

export {
  type CanaryAnswer,
  type CanaryExpectation,
  type CanaryFault,
  type CanaryResult,
  cosine,
  isLooping,
  isSameModel,
  judgeCanary,
  type TextExpectation,
} from "./canary.ts";
export { readEngineLoad } from "./engine-metrics.ts";
export {
  type DueProbe,
  type ProbeKind,
  type ProbeNeed,
  ProbePlan,
  type ProbeTarget,
  probeEveryMs,
} from "./probe-plan.ts";
export { ReadingPlan, type ReadingResult } from "./reading-plan.ts";
