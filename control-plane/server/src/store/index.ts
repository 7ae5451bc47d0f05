// The door to the stores for what stands outside this package: benches that measure the real thing.

export {
  type MirrorOptions,
  type MirrorState,
  openMirror,
  type StoreMirror,
} from "./mirror.ts";
export { type OpenStoreOptions, openStore } from "./open-store.ts";
export type {
  Commit,
  Entry,
  Listing,
  Operation,
  Revision,
  Store,
  StoreError,
  StoreEvent,
  WatchNotice,
  WatchOptions,
} from "./store.ts";
