// The names of a policy, looked up once for all checks of meaning.

import type { Policy } from "../gen/meridian/v1/policy_pb.ts";
import { type Findings, listNames, quote } from "./findings.ts";
import { nearestWord } from "./nearest-word.ts";

export type PolicyIndex = {
  readonly policy: Policy;
  readonly regions: ReadonlySet<string>;
  readonly models: ReadonlySet<string>;
  readonly tenants: ReadonlySet<string>;
  /** alias → model; of an alias declared twice the first. */
  readonly aliases: ReadonlyMap<string, string>;
  /** model → regions with a backend that may be sent requests for it. */
  readonly regionsByModel: ReadonlyMap<string, ReadonlySet<string>>;
  readonly findings: Findings;
};

export function indexPolicy(policy: Policy, findings: Findings): PolicyIndex {
  const aliases = new Map<string, string>();
  for (const model of policy.models) {
    for (const alias of model.aliases) if (!aliases.has(alias)) aliases.set(alias, model.name);
  }
  const regionsByModel = new Map<string, Set<string>>();
  for (const backend of policy.backends) {
    if (backend.weight === 0) continue;
    for (const { model } of backend.serves) {
      const regions = regionsByModel.get(model) ?? new Set();
      regionsByModel.set(model, regions.add(backend.region));
    }
  }
  return {
    policy,
    regions: new Set(policy.regions.map((each) => each.name)),
    models: new Set(policy.models.map((each) => each.name)),
    tenants: new Set(policy.tenants.map((each) => each.name)),
    aliases,
    regionsByModel,
    findings,
  };
}

/** What a name refers to, for messages. */
export type Referent = "region" | "model" | "tenant";

/** Refuses a name that nothing has, with what there is. */
export function checkReference(
  index: PolicyIndex,
  reference: { readonly kind: Referent; readonly name: string; readonly path: string },
): void {
  const { kind, name, path } = reference;
  const names = { region: index.regions, model: index.models, tenant: index.tenants }[kind];
  if (names.has(name)) return;
  const message = `no ${kind} is named ${quote(name)}`;
  index.findings.refuse("dangling_name", path, message, hintFor(index, kind, name));
}

function hintFor(index: PolicyIndex, kind: Referent, name: string): string {
  if (index.findings.isCrowded()) return "";
  const model = kind === "model" ? index.aliases.get(name) : undefined;
  if (model !== undefined) return `that is an alias; write ${model}`;
  const names = { region: index.regions, model: index.models, tenant: index.tenants }[kind];
  const near = nearestWord(name, names);
  return near === undefined ? `${kind}s are: ${listNames(names)}` : `did you mean ${near}?`;
}

/** Refuses what a list names twice. */
export function checkUnique(names: readonly string[], path: string, findings: Findings): void {
  const seen = new Map<string, number>();
  for (const [place, name] of names.entries()) {
    const first = seen.get(name);
    if (first === undefined) {
      seen.set(name, place);
      continue;
    }
    const message = `${quote(name)} stands at ${path}[${first}] already`;
    findings.refuse("duplicate", `${path}[${place}]`, message, "name it once");
  }
}
