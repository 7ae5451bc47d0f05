// What a control plane knows: of its proxies by their reports, of all regions by their digests, and what of it goes
// into state frames.

export { digestLimits, digestRegion, parseDigest, type RegionDigest } from "./digest.ts";
export { type DigestWritten, digestDueAt } from "./digest-due.ts";
export type { PoolCounts } from "./pool-counts.ts";
export {
  type BackendCondition,
  createProxies,
  fleetLimits,
  type Proxies,
  type ProxyCondition,
  type ProxyNode,
  type ProxyReport,
} from "./proxies.ts";
export {
  type KnownCapacity,
  type LoadReport,
  type ModelDemand,
  RegionLoads,
} from "./region-loads.ts";
export {
  createRegionSigns,
  type RegionCondition,
  type RegionSigns,
  readyRegions,
  regionCondition,
} from "./region-signs.ts";
export { type FrameView, makeStateFrame, type StateSource } from "./state-frame.ts";
