// What the schema itself can't say of the policy document: which fields must be there, how long and how many things may
// be, and where 0 is a value.

import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";

/** Per message: fields without which it means nothing. */
const required: { readonly [message: string]: readonly string[] } = {
  Policy: ["regions", "backends", "models"],
  Region: ["name"],
  Location: ["lat", "lon"],
  Backend: ["name", "region", "url", "serves"],
  Serves: ["model"],
  Model: ["name"],
  Route: ["name"],
  HeaderMatch: ["name", "value"],
  Shadow: ["model", "percent"],
  Affinity: ["header"],
  Target: ["model"],
  Tenant: ["name"],
  Key: ["sha256"],
};

/** How many of each a policy may have. Source: design 5, reference 1.4; a proxy checks the same again. */
export const sectionLimits: { readonly [section: string]: number } = {
  regions: 64,
  backends: 10_000,
  models: 2_000,
  routes: 2_000,
  tenants: 10_000,
};
const listLimitDefault = 500;

/** Longest texts, in UTF-16 units. */
const textLimits: { readonly [field: string]: number } = {
  "Canary.prompt": 16_384,
  "Canary.expect": 16_384,
  "Canary.input": 16_384,
};
const textLimitDefault = 1_024;

/** Fields of which 0 is a value, not "not set". Fields that the schema marks optional are so too. */
const zeroIsValue: ReadonlySet<string> = new Set([
  "Location.lat",
  "Location.lon",
  "Tenant.priority",
]);

/** JSON names of the fields that a message must have. */
export function requiredFields(message: DescMessage): readonly string[] {
  return required[message.name] ?? [];
}

export function listLimit(field: DescField): number {
  const section = field.parent.name === "Policy" ? sectionLimits[field.jsonName] : undefined;
  return section ?? listLimitDefault;
}

export function textLimit(field: DescField): number {
  return textLimits[key(field)] ?? textLimitDefault;
}

/** Text of several lines is meant where a model reads it. */
export function mayHoldLines(field: DescField): boolean {
  return key(field) in textLimits;
}

export function mayBeZero(field: DescField): boolean {
  return field.presence === FeatureSet_FieldPresence.EXPLICIT || zeroIsValue.has(key(field));
}

function key(field: DescField): string {
  return `${field.parent.name}.${field.jsonName}`;
}
