// Compares two policies resource by resource and field by field over their JSON form: a field that is added to the
// schema shows up here by itself.

import { type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  BackendSchema,
  type Health,
  HealthSchema,
  ModelSchema,
  type Policy,
  RegionSchema,
  RouteSchema,
  TenantSchema,
} from "@meridian/proto/gen/policy_pb";
import { describe, diffFields } from "./diff-fields.ts";

/** One change to one resource; several fields of one resource are one change. */
export type Change = {
  readonly kind: "added" | "removed" | "changed";
  /** backend/us-a, route/chat; `routes` when only their order changed. */
  readonly resource: string;
  /** weight 1 → 2; serves + llama-8b */
  readonly detail: string;
};

/**
 * Every change, in the order of the sections of the document, and in each in the order of the new policy; what is gone
 * comes last. Without a former policy everything is added.
 */
export function diffPolicies(before: Policy | undefined, after: Policy): readonly Change[] {
  const old = before === undefined ? undefined : sectionsOf(before);
  return sectionsOf(after).flatMap((section, place) =>
    diffSection(section.kind, old?.[place]?.resources ?? new Map(), section.resources),
  );
}

type Resources = ReadonlyMap<string, JsonObject>;

function sectionsOf(
  policy: Policy,
): readonly { readonly kind: string; readonly resources: Resources }[] {
  const { regions, backends, models, routes, tenants, health } = policy;
  const settings = health === undefined ? [] : [{ name: "default", ...healthFields(health) }];
  return [
    { kind: "region", resources: byName(regions.map((each) => toJson(RegionSchema, each))) },
    { kind: "backend", resources: byName(backends.map((each) => toJson(BackendSchema, each))) },
    { kind: "model", resources: byName(models.map((each) => toJson(ModelSchema, each))) },
    { kind: "route", resources: byName(routes.map((each) => toJson(RouteSchema, each))) },
    { kind: "tenant", resources: byName(tenants.map((each) => toJson(TenantSchema, each))) },
    { kind: "health", resources: byName(settings) },
  ];
}

function healthFields(health: Health): JsonObject {
  const json = toJson(HealthSchema, health);
  return typeof json === "object" && json !== null && !Array.isArray(json) ? json : {};
}

function byName(list: readonly JsonValue[]): Resources {
  const found = new Map<string, JsonObject>();
  for (const each of list) {
    if (typeof each !== "object" || each === null || Array.isArray(each)) continue;
    const { name, ...fields } = each;
    found.set(String(name), fields);
  }
  return found;
}

function diffSection(kind: string, before: Resources, after: Resources): readonly Change[] {
  const changes: Change[] = [];
  for (const [name, fields] of after) {
    const old = before.get(name);
    const resource = `${kind}/${name}`;
    if (old === undefined) {
      changes.push({ kind: "added", resource, detail: describe(fields) });
      continue;
    }
    const detail = diffFields(old, fields);
    if (detail !== "") changes.push({ kind: "changed", resource, detail });
  }
  for (const [name, fields] of before) {
    if (after.has(name)) continue;
    changes.push({ kind: "removed", resource: `${kind}/${name}`, detail: describe(fields) });
  }
  return kind === "route" ? [...changes, ...diffOrder(before, after)] : changes;
}

/** Of routes the first that matches wins: their order is meaning. */
function diffOrder(before: Resources, after: Resources): readonly Change[] {
  const old = [...before.keys()].filter((name) => after.has(name));
  const now = [...after.keys()].filter((name) => before.has(name));
  const first = now.findIndex((name, place) => name !== old[place]);
  if (first < 0) return [];
  const detail = `order from place ${first + 1}: ${shorten(old, first)} → ${shorten(now, first)}`;
  return [{ kind: "changed", resource: "routes", detail }];
}

function shorten(names: readonly string[], from: number): string {
  return names.slice(from, from + 5).join(", ") + (names.length > from + 5 ? ", …" : "");
}
