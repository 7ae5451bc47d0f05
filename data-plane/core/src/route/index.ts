// Which route a request takes.

export { allowsRegion } from "./residency.ts";
export {
  goesAbroad,
  orderTargets,
  type ResolvedRoute,
  Router,
  type RoutingPolicy,
} from "./router.ts";
