// What requests can't reach: routes behind broader ones, patterns that fit nothing, models that no route leads to. All
// are warnings: nothing breaks, but it is hardly what was meant.

import type { HeaderMatch, Route } from "../gen/meridian/v1/policy_pb.ts";
import { type Findings, quote } from "./findings.ts";
import { matchesPattern } from "./pattern.ts";
import type { PolicyIndex } from "./policy-index.ts";
import { clientProtocols, inferencePaths, protocols } from "./words.ts";

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
    warnOfPlaces(route, `routes[${place}].match`, findings);
  }
}

/** Paths and languages are few, and known. */
function warnOfPlaces({ match }: Route, path: string, findings: Findings): void {
  for (const [place, pattern] of (match?.paths ?? []).entries()) {
    if (inferencePaths.some((each) => matchesPattern(pattern, each))) continue;
    const message = `no path that is served fits ${quote(pattern)}`;
    const hint = `paths are ${inferencePaths.join(", ")}`;
    findings.warn("matches_nothing", `${path}.paths[${place}]`, message, hint);
  }
  for (const [place, number] of (match?.protocols ?? []).entries()) {
    const name = protocols[number - 1];
    if (name !== undefined && clientProtocols.includes(name)) continue;
    const message = `no client speaks ${name ?? "this"} to this version`;
    const hint = `clients speak ${clientProtocols.join(", ")}`;
    findings.warn("matches_nothing", `${path}.protocols[${place}]`, message, hint);
  }
}

function warnOfUnrouted(index: PolicyIndex, budget: Budget): void {
  const { policy, findings } = index;
  if (policy.routes.length === 0) return;
  const targets = policy.routes.flatMap((each) => each.targets.map(({ model }) => model));
  const lesser = policy.models.flatMap((each) => each.degradeTo);
  const shadows = policy.routes.flatMap((each) => each.shadow?.model ?? []);
  const used = new Set([...targets, ...lesser, ...shadows]);
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

/** Whatever the narrow route takes, the broad one takes. */
function covers(broad: Route, narrow: Route, budget: Budget): boolean {
  const [wide, small] = [broad.match, narrow.match];
  return (
    coversNames(wide?.tenants ?? [], small?.tenants ?? [], budget) &&
    coversNames(wide?.protocols ?? [], small?.protocols ?? [], budget) &&
    coversPatterns(wide?.models ?? [], small?.models ?? [], budget) &&
    coversPatterns(wide?.paths ?? [], small?.paths ?? [], budget) &&
    coversHeaders(wide?.headers ?? [], small?.headers ?? [], budget)
  );
}

/** Empty: any. */
function coversNames<T>(wide: readonly T[], small: readonly T[], budget: Budget): boolean {
  if (wide.length === 0) return true;
  return small.length > 0 && small.every((each) => includes(wide, each, budget));
}

/** A `*` of the narrow pattern is a character like any other to the broad one: what fits so fits whatever it stands for. */
function coversPatterns(
  wide: readonly string[],
  small: readonly string[],
  budget: Budget,
): boolean {
  if (wide.length === 0) return true;
  // A narrow route without patterns takes anything, as one with "*" does.
  const wanted = small.length === 0 ? ["*"] : small;
  return wanted.every((each) => matchesAny(wide, each, budget));
}

/** All of a route's headers must match: each one of the broad route has to follow from one of the narrow. */
function coversHeaders(
  wide: readonly HeaderMatch[],
  small: readonly HeaderMatch[],
  budget: Budget,
): boolean {
  return wide.every((each) =>
    small.some(
      (other) =>
        other.name.toLowerCase() === each.name.toLowerCase() &&
        matches(each.value, other.value, budget),
    ),
  );
}

/** No patterns at all match everything. */
function matchesAny(patterns: readonly string[], name: string, budget: Budget): boolean {
  return patterns.length === 0 || patterns.some((each) => matches(each, name, budget));
}

function matches(pattern: string, name: string, budget: Budget): boolean {
  budget.left -= 1;
  return budget.left > 0 && matchesPattern(pattern, name);
}

function includes<T>(names: readonly T[], name: T, budget: Budget): boolean {
  budget.left -= names.length;
  return budget.left > 0 && names.includes(name);
}
