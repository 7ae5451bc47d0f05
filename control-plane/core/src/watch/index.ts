// The door of the watch engines: pure protocol engines of etcd watches and leases, and the mirror they keep.

export {
  type Entry,
  eventKey,
  eventRevision,
  type Listing,
  type Revision,
  type StoreEvent,
} from "./entry.ts";
export { type Change, Mirror, sortedEntries } from "./mirror.ts";
