// Which session a request belongs to.

import { fnv1a } from "@meridian/proto/base";
import type { RouteView } from "@meridian/proto/snapshot";
import { headerOf, type RouteHeaders } from "./header-classes.ts";

/** The session's name as a number; undefined: the route has no sessions, or the request names none. */
export function sessionOf(
  { affinityHeader }: Pick<RouteView, "affinityHeader">,
  headers: RouteHeaders,
): number | undefined {
  if (affinityHeader === undefined) return undefined;
  const name = headerOf(headers, affinityHeader);
  return name === undefined || name === "" ? undefined : fnv1a(name);
}
