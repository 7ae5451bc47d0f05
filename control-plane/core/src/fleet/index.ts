// What a control plane knows: of its proxies by their reports, of all regions by their digests, and what of it goes
// into state frames.

export {
  type DigestWritten,
  digestDueAt,
  digestLimits,
  digestRegion,
  type PoolCounts,
  parseDigest,
  type RegionDigest,
} from "./digest.ts";
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
  createRegionSigns,
  type RegionCondition,
  type RegionSigns,
  readyRegions,
  regionCondition,
} from "./region-signs.ts";
export { type FrameView, makeStateFrame, type StateSource } from "./state-frame.ts";
