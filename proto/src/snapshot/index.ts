// What a region's proxies run by: made, compared, moved as deltas, and read.

export { readSnapshot } from "./read-snapshot.ts";
export { type ResourceKind, resourceName, splitResourceName } from "./resource-name.ts";
export {
  applyPush,
  compareVersions,
  formatVersion,
  hashBytes,
  hashResources,
  makePush,
  makeResource,
  makeSnapshot,
} from "./snapshot.ts";
export type {
  AssistantPrefix,
  BackendView,
  Balance,
  CanaryView,
  HealthView,
  HedgeView,
  ModelView,
  ProbeView,
  ProtocolName,
  RegionEntry,
  RegionView,
  RouteView,
  Rung,
  ServedModel,
  TargetView,
  TenantView,
  TimeoutsView,
} from "./view.ts";
export { canaryMark, hedgeDefaults, routeDefaults } from "./view-resource.ts";
