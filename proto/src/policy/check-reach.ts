// What requests can't reach: routes behind broader ones, patterns that fit nothing, models that no route leads to. All
// are warnings: nothing breaks, but it is hardly what was meant.

import type { Route } from "../gen/meridian/v1/policy_pb.ts";
import { quote } from "./findings.ts";
import { matchesPattern } from "./pattern.ts";
import type { PolicyIndex } from "./policy-index.ts";

/**
 * Comparisons of patterns with names or each other in all. They are the product of two lists and the only checks that
 * aren't linear; what a huge policy has beyond this is not warned of.
 */
const comparisonsMax = 2_000_000;

type Budget = { left: number };

export function checkReach(index: PolicyIndex): void {
  const budget: Budget = { left: comparisonsMax };
  warnOfPatterns(index, budget);
  warnOfUnrouted(index, budget);
  warnOfShadowed(index, budget);
}

function warnOfPatterns(index: PolicyIndex, budget: Budget): void {
  const { policy, models, aliases, findings } = index;
  const names = [...models, ...aliases.keys()];
  for (const [place, route] of policy.routes.entries()) {
    for (const [second, pattern] of (route.match?.models ?? []).entries()) {
      const fits = pattern.includes("*")
        ? names.some((name) => matches(pattern, name, budget))
        : models.has(pattern) || aliases.has(pattern);
      if (fits || budget.left <= 0) continue;
      const path = `routes[${place}].match.models[${second}]`;
      const message = `no model or alias fits ${quote(pattern)}`;
      findings.warn("matches_nothing", path, message, "correct it, or declare the model");
    }
  }
}

function warnOfUnrouted(index: PolicyIndex, budget: Budget): void {
  const { policy, findings } = index;
  if (policy.routes.length === 0) return;
  const targets = policy.routes.flatMap((each) => each.targets.map(({ model }) => model));
  const lesser = policy.models.flatMap((each) => each.degradeTo);
  const used = new Set([...targets, ...lesser]);
  for (const [place, model] of policy.models.entries()) {
    const names = [model.name, ...model.aliases];
    const isAsked = policy.routes.some(({ match }) =>
      names.some((name) => matchesAny(match?.models ?? [], name, budget)),
    );
    if (isAsked || used.has(model.name) || budget.left <= 0) continue;
    const message = `no route takes requests for ${quote(model.name)}`;
    findings.warn(
      "unrouted_model",
      `models[${place}]`,
      message,
      "add it to a route's match.models",
    );
  }
}

function warnOfShadowed({ policy, findings }: PolicyIndex, budget: Budget): void {
  for (const [place, route] of policy.routes.entries()) {
    const first = policy.routes.slice(0, place).findIndex((each) => covers(each, route, budget));
    if (first < 0 || budget.left <= 0) continue;
    const message = `routes[${first}] takes every request that would come here`;
    const hint = "the first route that matches wins: put the narrower one first";
    findings.warn("shadowed_route", `routes[${place}]`, message, hint);
  }
}

/** A `*` of the narrow pattern is a character like any other to the broad one: what fits so fits whatever it stands for. */
function covers(broad: Route, narrow: Route, budget: Budget): boolean {
  const tenants = broad.match?.tenants ?? [];
  const narrowTenants = narrow.match?.tenants ?? [];
  const coversTenants =
    tenants.length === 0 ||
    (narrowTenants.length > 0 && narrowTenants.every((each) => includes(tenants, each, budget)));
  if (!coversTenants) return false;
  const models = broad.match?.models ?? [];
  if (models.length === 0) return true;
  const narrowModels = narrow.match?.models ?? [];
  // A narrow route without patterns takes any model, as one with "*" does.
  const wanted = narrowModels.length === 0 ? ["*"] : narrowModels;
  return wanted.every((each) => matchesAny(models, each, budget));
}

/** No patterns at all match everything. */
function matchesAny(patterns: readonly string[], name: string, budget: Budget): boolean {
  return patterns.length === 0 || patterns.some((each) => matches(each, name, budget));
}

function matches(pattern: string, name: string, budget: Budget): boolean {
  budget.left -= 1;
  return budget.left > 0 && matchesPattern(pattern, name);
}

function includes(names: readonly string[], name: string, budget: Budget): boolean {
  budget.left -= names.length;
  return budget.left > 0 && names.includes(name);
}
