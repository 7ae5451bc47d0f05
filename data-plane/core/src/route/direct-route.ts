// The route of a policy that has none: every model as it is asked for, all defaults.

import { type RouteView, routeDefaults } from "@meridian/proto/snapshot";

/**
 * The proxies themselves, for requests that try whether something works. No policy can name it (see check-names.ts), it
 * takes the direct route, and proxies let nobody be it.
 */
export const ownTenant = ":meridian";

export const directRoute: RouteView = {
  name: "direct",
  match: { models: [], tenants: [], headers: [], protocols: [], paths: [] },
  targets: [],
  objectiveFirstTokenMs: undefined,
  hedge: undefined,
  shadow: undefined,
  affinityHeader: undefined,
  ...routeDefaults,
};
