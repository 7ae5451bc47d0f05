// The route of a policy that has none: every model as it is asked for, all defaults.

import { type RouteView, routeDefaults } from "@meridian/proto/snapshot";

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
