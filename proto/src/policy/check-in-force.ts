// Fields that this version accepts but does not act on. One warning for each, so that nothing is ignored in silence; a
// field leaves the list in the change that puts it in force.

import type { Model, Policy, Route, Tenant } from "../gen/meridian/v1/policy_pb.ts";
import type { PolicyIndex } from "./policy-index.ts";

type Feature<T> = { readonly field: string; readonly isUsed: (from: T) => boolean };

const ofModel: readonly Feature<Model>[] = [
  { field: "contextTokens", isUsed: ({ contextTokens }) => contextTokens > 0 },
  { field: "features", isUsed: ({ features }) => features.length > 0 },
  { field: "degradeTo", isUsed: ({ degradeTo }) => degradeTo.length > 0 },
];

const ofRoute: readonly Feature<Route>[] = [
  { field: "fallback", isUsed: ({ fallback }) => fallback.includes("degrade") },
];

const ofTenant: readonly Feature<Tenant>[] = [
  { field: "priority", isUsed: ({ priority }) => priority > 0 },
  { field: "limits", isUsed: ({ limits }) => limits !== undefined },
];

/** What happens instead, where it isn't plain. */
const instead: { readonly [field: string]: string } = {
  fallback: "its word degrade is skipped, the others are followed",
};

export function checkInForce({ policy, findings }: PolicyIndex): void {
  const used = [
    ...usedOf("models", policy.models, ofModel),
    ...usedOf("routes", policy.routes, ofRoute),
    ...usedOf("tenants", policy.tenants, ofTenant),
  ];
  for (const { path, field, count } of used) {
    const places = count === 1 ? "" : ` (and in ${count - 1} more)`;
    const hint = instead[field] ?? "it is kept, and takes effect in a later version";
    findings.warn("not_in_force", path, `${field} is not acted on yet${places}`, hint);
  }
}

type Used = { readonly path: string; readonly field: string; readonly count: number };

function usedOf<T>(
  section: keyof Policy,
  entries: readonly T[],
  features: readonly Feature<T>[],
): readonly Used[] {
  return features.flatMap(({ field, isUsed }) => {
    const places = [...entries.keys()].filter((place) => {
      const entry = entries[place];
      return entry !== undefined && isUsed(entry);
    });
    const path = `${section}[${places[0]}].${field}`;
    return places.length === 0 ? [] : [{ path, field, count: places.length }];
  });
}
