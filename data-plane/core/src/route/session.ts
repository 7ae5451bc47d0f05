// Which session a request belongs to.

import { fnv1a } from "@meridian/proto/base";
import type { RouteView } from "@meridian/proto/snapshot";
import { headerOf } from "./header-classes.ts";
import type { RouteFacts } from "./router.ts";

/**
 * The session's name as a number; undefined: the route has no sessions, or the request names none. Names are a tenant's
 * own: many number their sessions from 1.
 */
export function sessionOf(
  { affinityHeader }: Pick<RouteView, "affinityHeader">,
  { headers, tenant }: Pick<RouteFacts, "headers" | "tenant">,
): number | undefined {
  if (affinityHeader === undefined) return undefined;
  const name = headerOf(headers, affinityHeader);
  return name === undefined || name === "" ? undefined : fnv1a(name, fnv1a(tenant));
}
