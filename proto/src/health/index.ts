// The verdict on a backend, as both planes reach it: the control plane from a region's pooled counts, a proxy that is
// alone from its own.

export {
  type BackendHealth,
  freezesBaseline,
  type HealthPhase,
  type HealthTimes,
  type HealthVerdict,
  healthTimes,
  newBackendHealth,
  shareOf,
  type TickContext,
  tickHealth,
  verdictOf,
} from "./backend-health.ts";
export { addCounts, type HealthCounts, noCounts } from "./health-counts.ts";
export {
  againstCommonCause,
  deriveTests,
  eventsPerFalseAlarm,
  eventsPerSecond,
  type FleetSize,
  type HealthTests,
  type Signal,
  signals,
  usualRate,
} from "./health-tests.ts";
export {
  emptyFleet,
  type FleetContext,
  type FleetHealth,
  type Member,
  tickFleet,
  withHealth,
} from "./pool-health.ts";
export { chooseProbers, probersPerBackend } from "./probers.ts";
export { canariesInRow, noProof, type Proof, returnLimits, triesToReturn } from "./return-proof.ts";
export type { SignalState } from "./signal-states.ts";
