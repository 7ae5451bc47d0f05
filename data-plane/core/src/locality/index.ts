// Which other region is asked, and when.

export {
  digestFreshMs,
  type RankedRegion,
  type RegionStateView,
  type RegionView,
  rankRegions,
} from "./region-order.ts";
export { RegionPaths, regionPathsBytes } from "./region-paths.ts";
