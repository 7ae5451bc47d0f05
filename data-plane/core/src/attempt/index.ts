// Attempts at answering one request: the state machine and its vocabulary.

export type {
  AttemptCommand,
  AttemptEnd,
  AttemptEvent,
  AttemptPorts,
  AttemptRecord,
  Attempts,
  Budgets,
  CallBudget,
  CallRole,
  Candidate,
  Choice,
  Considered,
  Ending,
  Hold,
  NextRequest,
  NoChoice,
  RefusalCause,
  TargetProtocol,
  Wait,
} from "./attempt.ts";
export { AttemptMachine, backOff } from "./attempt-machine.ts";
export { CallBudgets, callBudgetBytes, callBudgetLimits } from "./call-budgets.ts";
export {
  classOf,
  type FailureClass,
  type FailureKind,
  type FailureRule,
  type HealthClass,
  healthClass,
  isUnsent,
  judgeStatus,
  ruleOf,
  type StatusVerdict,
  type UpstreamFailure,
  upstreamFailure,
} from "./failure.ts";
export {
  FirstTokenTimes,
  firstTokenBytes,
  hedgeSamplesMin,
  type TimesKind,
} from "./first-token-times.ts";
