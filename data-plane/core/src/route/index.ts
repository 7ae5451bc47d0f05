// Which route a request takes.

export { ownTenant } from "./direct-route.ts";
export { allowsRegion } from "./residency.ts";
export {
  goesAbroad,
  orderTargets,
  type ResolvedRoute,
  type RouteFacts,
  Router,
  type RoutingPolicy,
} from "./router.ts";
export { sessionOf } from "./session.ts";
