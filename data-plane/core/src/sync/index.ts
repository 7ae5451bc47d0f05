// The proxy's side of the sync streams, as decisions.

export {
  defaultSyncLimits,
  type Refusal,
  type SnapshotSource,
  type StateAge,
  type SyncCommand,
  type SyncEvent,
  type SyncLimits,
  type SyncOptions,
  type SyncStatus,
} from "./events.ts";
export {
  createReportLane,
  type ReportCommand,
  type ReportEvent,
  type ReportLane,
} from "./report-lane.ts";
export { stateAge, trustAt } from "./state-age.ts";
export { createSync, type Sync } from "./sync.ts";
