// Pickers: which backend of a pool, and what they go by.

export { BackendBuckets, type BucketLimits, bucketBytes } from "./backend-buckets.ts";
export { type EngineLoad, EngineLoads, engineLoadBytes } from "./engine-loads.ts";
export type { Picker } from "./picker.ts";
export { findPicker } from "./pickers.ts";
export {
  PrefixIndex,
  prefixBlocksMax,
  prefixBlockTokens,
  prefixIndexBytes,
} from "./prefix-index.ts";
export { Saturation, saturationBytes } from "./saturation.ts";
export { sessionSlot } from "./session-place.ts";
export { PickMemory, Shortlist, type Work } from "./shortlist.ts";
