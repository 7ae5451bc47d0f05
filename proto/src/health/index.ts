// The verdict on a backend, as both planes reach it: the control plane from a region's pooled counts, a proxy that is
// alone from its own.

export {
  type BackendHealth,
  canariesInRow,
  type HealthPhase,
  type HealthTimes,
  type HealthVerdict,
  healthTimes,
  holdsAlarm,
  newBackendHealth,
  type Proof,
  returnLimits,
  type SignalState,
  shareOf,
  type TickContext,
  tickHealth,
  triesToReturn,
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
} from "./pool-health.ts";
export { chooseProbers, probersPerBackend } from "./probers.ts";
