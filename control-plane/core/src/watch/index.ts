// The door of the watch engines: pure protocol engines of etcd watches and leases, and the mirror they keep.

export { EndpointOrder } from "./endpoint-order.ts";
export {
  type Entry,
  eventKey,
  eventRevision,
  type Listing,
  type Revision,
  type StoreEvent,
} from "./entry.ts";
export {
  type LeaseCommand,
  LeaseEngine,
  type LeaseEngineOptions,
  type LeaseInput,
} from "./lease-engine.ts";
export { type Change, Mirror, sortedEntries } from "./mirror.ts";
export { WatchEngine, type WatchEngineOptions } from "./watch-engine.ts";
export {
  type ProbeResult,
  type WatchCommand,
  type WatchInput,
  type WatchNotice,
  type WatchResponse,
  type WatchState,
  type WatchTimings,
  watchTimings,
} from "./watch-messages.ts";
