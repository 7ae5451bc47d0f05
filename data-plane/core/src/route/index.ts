// Which route a request takes.

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
