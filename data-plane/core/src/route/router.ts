// From (tenant, model as the client names it) to a route and its weighted models. First match wins.

import type { Random } from "@meridian/proto/base";
import { matchesPattern } from "@meridian/proto/policy";
import type { RouteView, TargetView } from "@meridian/proto/snapshot";
import { directRoute } from "./direct-route.ts";

/** What the router needs of a policy. */
export type RoutingPolicy = {
  /** In the order in which they are tried. */
  readonly routes: readonly RouteView[];
  readonly models: ReadonlySet<string>;
  /** alias → model. */
  readonly aliases: ReadonlyMap<string, string>;
};

/** Where a request goes. */
export type ResolvedRoute = {
  readonly route: RouteView;
  /** Never empty. */
  readonly targets: readonly TargetView[];
  readonly reason: string;
};

/** Entries of the memory of resolved names; at the bound it starts anew. */
const memoryMax = 10_000;

/**
 * Resolves names, and remembers what it resolved: policies are immutable, so an answer stays right.
 *
 * @example new Router(policy).resolve("acme", "default") // → { route: chat, targets: [llama-70b], reason: "alias of llama-70b, …" }
 */
export class Router {
  readonly #policy: RoutingPolicy;
  readonly #memory = new Map<string, ResolvedRoute | undefined>();

  constructor(policy: RoutingPolicy) {
    this.#policy = policy;
  }

  /** undefined: no route takes this tenant's request for this model. */
  resolve(tenant: string, model: string): ResolvedRoute | undefined {
    const key = `${tenant}\n${model}`;
    if (this.#memory.has(key)) return this.#memory.get(key);
    if (this.#memory.size >= memoryMax) this.#memory.clear();
    const resolved = resolveRoute(this.#policy, tenant, model);
    this.#memory.set(key, resolved);
    return resolved;
  }
}

function resolveRoute(
  policy: RoutingPolicy,
  tenant: string,
  asked: string,
): ResolvedRoute | undefined {
  const model = policy.models.has(asked) ? asked : (policy.aliases.get(asked) ?? asked);
  const route =
    policy.routes.length === 0
      ? directRoute
      : policy.routes.find((each) => matchesRoute(each, tenant, asked, model));
  if (route === undefined) return undefined;
  const targets = route.targets.length > 0 ? route.targets : [{ model, weight: 1 }];
  const known = targets.filter((each) => each.weight > 0 && policy.models.has(each.model));
  if (known.length === 0) return undefined;
  const alias = asked === model ? "" : `alias of ${model}, `;
  return { route, targets: known, reason: `${alias}first route that matches` };
}

/** A pattern fits the name that the client used, or the model that this name is an alias of. */
function matchesRoute(route: RouteView, tenant: string, asked: string, model: string): boolean {
  const { models, tenants } = route.match;
  if (tenants.length > 0 && !tenants.includes(tenant)) return false;
  if (models.length === 0) return true;
  return models.some((pattern) => matchesPattern(pattern, asked) || matchesPattern(pattern, model));
}

/** The targets, one drawn by weight first, the others after it in their order. */
export function orderTargets(
  targets: readonly TargetView[],
  random: Random,
): readonly TargetView[] {
  if (targets.length < 2) return targets;
  let point = random.next() * targets.reduce((sum, each) => sum + each.weight, 0);
  const drawn = targets.find((each) => {
    point -= each.weight;
    return point < 0;
  });
  return drawn === undefined ? targets : [drawn, ...targets.filter((each) => each !== drawn)];
}

/** May another region answer a request of this route? */
export function goesAbroad(route: RouteView): boolean {
  return route.fallback.includes("remote");
}
