// Attempts at answering one request: the state machine and its vocabulary.

export type {
  AttemptCommand,
  AttemptEnd,
  AttemptEvent,
  AttemptPorts,
  AttemptRecord,
  Attempts,
  Budgets,
  Candidate,
  Choice,
  Ending,
  NextRequest,
  NoChoice,
  RefusalCause,
  TargetProtocol,
} from "./attempt.ts";
export { AttemptMachine } from "./attempt-machine.ts";
export {
  type FailureKind,
  type HealthClass,
  healthClass,
  judgeStatus,
  type StatusVerdict,
  type UpstreamFailure,
  upstreamFailure,
} from "./failure.ts";
