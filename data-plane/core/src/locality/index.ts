// Which place is expected to answer soonest, and how much may go elsewhere.

export { CallTimes } from "./call-times.ts";
export {
  defaultFit,
  estimatedRttMs,
  expectedFirstTokenMs,
  type FirstTokenFit,
  gainMin,
  idleFirstTokenMs,
  isGain,
  netMs,
  queueWaitMs,
  remoteQueueMs,
  untestedErrorMs,
} from "./expected-time.ts";
export { FirstTokenFits } from "./first-token-fits.ts";
export { type DuePath, PathPlan, type PathRequest, pathLimitMs } from "./path-plan.ts";
export {
  type RegionStanding,
  type RegionStateView,
  type RegionView,
  rankRegions,
  regionStanding,
} from "./region-order.ts";
export { RegionPaths, regionPathsBytes, type ToldPool } from "./region-paths.ts";
export { SentAway } from "./sent-away.ts";
