// From what is known of a request (tenant, model as the client names it, headers, language, path) to a route and its
// weighted models. First match wins.

import type { Random } from "@meridian/proto/base";
import { matchesPattern } from "@meridian/proto/policy";
import type { ProtocolName, RouteView, TargetView } from "@meridian/proto/snapshot";
import { directRoute, ownTenant } from "./direct-route.ts";
import { HeaderClasses, matchesHeaders, type RouteHeaders } from "./header-classes.ts";

/** What the router needs of a policy. */
export type RoutingPolicy = {
  /** In the order in which they are tried. */
  readonly routes: readonly RouteView[];
  readonly models: ReadonlySet<string>;
  /** alias → model. */
  readonly aliases: ReadonlyMap<string, string>;
};

/** What routes are chosen by. */
export type RouteFacts = {
  readonly tenant: string;
  /** As the client names it. */
  readonly model: string;
  readonly headers: RouteHeaders;
  readonly protocol: ProtocolName;
  /** /v1/chat/completions */
  readonly path: string;
};

/** Where a request goes. */
export type ResolvedRoute = {
  readonly route: RouteView;
  /** Never empty. */
  readonly targets: readonly TargetView[];
  readonly reason: string;
};

/** Entries of the memory of resolved requests; at the bound it starts anew. */
const memoryMax = 10_000;

/**
 * Resolves requests, and remembers what it resolved: policies are immutable, so an answer stays right. What no route asks
 * for is no part of the memory's key.
 *
 * @example new Router(policy).resolve({ tenant: "acme", model: "default", … }) // → { route: chat, targets: [llama-70b], … }
 */
export class Router {
  readonly #policy: RoutingPolicy;
  readonly #headers: HeaderClasses;
  readonly #readsPlace: boolean;
  readonly #memory = new Map<string, ResolvedRoute | undefined>();
  /** A request is asked about several times in a row: the last one's answer needs no key. */
  #last: RouteFacts | undefined;
  #lastResolved: ResolvedRoute | undefined;

  constructor(policy: RoutingPolicy) {
    this.#policy = policy;
    this.#headers = new HeaderClasses(policy.routes.flatMap((each) => each.match.headers));
    this.#readsPlace = policy.routes.some(
      ({ match }) => match.protocols.length > 0 || match.paths.length > 0,
    );
  }

  /** undefined: no route takes this request. */
  resolve(facts: RouteFacts): ResolvedRoute | undefined {
    if (facts !== this.#last) {
      this.#lastResolved = this.#recall(facts);
      this.#last = facts;
    }
    return this.#lastResolved;
  }

  #recall(facts: RouteFacts): ResolvedRoute | undefined {
    const key = this.#keyOf(facts);
    const known = this.#memory.get(key);
    if (known !== undefined || this.#memory.has(key)) return known;
    if (this.#memory.size >= memoryMax) this.#memory.clear();
    const resolved = resolveRoute(this.#policy, facts);
    this.#memory.set(key, resolved);
    return resolved;
  }

  /** Some request of the tenant for the model has a route, whatever else the request must be like for that. */
  mayResolve(tenant: string, asked: string): boolean {
    const policy = this.#policy;
    const model = modelOf(policy, asked);
    if (policy.routes.length === 0) return policy.models.has(model);
    for (const route of policy.routes) {
      if (!matchesNames(route, { tenant, asked, model })) continue;
      if (knownTargets(policy, route, model).length > 0) return true;
      // What it takes it takes whole: nothing comes to the routes behind it.
      if (asksNamesAlone(route)) return false;
    }
    return false;
  }

  /** Tenants' names hold no line break, nor do paths; what comes last may hold anything. */
  #keyOf({ tenant, model, headers, protocol, path }: RouteFacts): string {
    const place = this.#readsPlace ? `${protocol} ${path}` : "";
    return `${tenant}\n${place}\n${this.#headers.classOf(headers)}\n${model}`;
  }
}

function resolveRoute(policy: RoutingPolicy, facts: RouteFacts): ResolvedRoute | undefined {
  const asked = facts.model;
  const model = modelOf(policy, asked);
  const names = { tenant: facts.tenant, asked, model };
  const route =
    policy.routes.length === 0 || facts.tenant === ownTenant
      ? directRoute
      : policy.routes.find((each) => matchesNames(each, names) && matchesPlace(each, facts));
  if (route === undefined) return undefined;
  const targets = knownTargets(policy, route, model);
  if (targets.length === 0) return undefined;
  const alias = asked === model ? "" : `alias of ${model}, `;
  return { route, targets, reason: `${alias}first route that matches` };
}

function modelOf(policy: RoutingPolicy, asked: string): string {
  return policy.models.has(asked) ? asked : (policy.aliases.get(asked) ?? asked);
}

function knownTargets(
  policy: RoutingPolicy,
  route: RouteView,
  model: string,
): readonly TargetView[] {
  const targets = route.targets.length > 0 ? route.targets : [{ model, weight: 1 }];
  return targets.filter((each) => each.weight > 0 && policy.models.has(each.model));
}

type Names = { readonly tenant: string; readonly asked: string; readonly model: string };

/** A pattern fits the name that the client used, or the model that this name is an alias of. */
function matchesNames(route: RouteView, { tenant, asked, model }: Names): boolean {
  const { models, tenants } = route.match;
  if (tenants.length > 0 && !tenants.includes(tenant)) return false;
  if (models.length === 0) return true;
  return models.some((pattern) => matchesPattern(pattern, asked) || matchesPattern(pattern, model));
}

/** Empty lists take everything. */
function matchesPlace({ match }: RouteView, { headers, path, protocol }: RouteFacts): boolean {
  const { paths, protocols } = match;
  if (protocols.length > 0 && !protocols.includes(protocol)) return false;
  if (paths.length > 0 && !paths.some((each) => matchesPattern(each, path))) return false;
  return matchesHeaders(match.headers, headers);
}

function asksNamesAlone({ match }: RouteView): boolean {
  return match.headers.length + match.protocols.length + match.paths.length === 0;
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
