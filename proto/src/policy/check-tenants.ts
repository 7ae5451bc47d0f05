// Tenants: keys that are hashes and belong to one tenant, and residency that can be kept.

import type { Tenant } from "../gen/meridian/v1/policy_pb.ts";
import { listNames, quote } from "./findings.ts";
import { checkReference, checkUnique, type PolicyIndex } from "./policy-index.ts";

const priorityMax = 1_000;

export function checkTenants(index: PolicyIndex): void {
  const { policy, findings } = index;
  if (policy.tenants.length === 0) {
    const message = "there are no tenants: whoever reaches a proxy may ask anything";
    findings.warn("open_access", "tenants", message, "add tenants with keys, unless that is meant");
  }
  checkKeys(index);
  const unserved = createUnserved(index);
  for (const [place, tenant] of policy.tenants.entries()) {
    const path = `tenants[${place}]`;
    if (tenant.keys.length === 0) {
      const message = "without a key nobody can ask as this tenant";
      findings.warn("no_keys", `${path}.keys`, message, "add the SHA-256 of a key");
    }
    if (tenant.priority > priorityMax) {
      const message = `${tenant.priority} is no priority`;
      findings.refuse("out_of_range", `${path}.priority`, message, `from 0 to ${priorityMax}`);
    }
    checkResidency(index, tenant, { path: `${path}.residency`, unserved });
  }
}

/** The value is never quoted: it may be a key in plain text. */
function checkKeys({ policy, findings }: PolicyIndex): void {
  const seen = new Map<string, string>();
  for (const [place, tenant] of policy.tenants.entries()) {
    for (const [second, { sha256 }] of tenant.keys.entries()) {
      const path = `tenants[${place}].keys[${second}].sha256`;
      if (!/^[0-9a-f]{64}$/.test(sha256)) {
        const isUpper = /^[0-9a-fA-F]{64}$/.test(sha256);
        const hint = isUpper
          ? "write it in lower case"
          : "make it with: printf %s KEY | sha256sum; never write the key itself";
        const message = "it is not 64 lower-case hexadecimal digits";
        findings.refuse("not_sha256", path, message, hint);
      } else if (sha256 === emptyHash) {
        const message = "it is the hash of nothing: a request with an empty key would pass";
        findings.refuse("empty_key", path, message, "hash the key itself");
      }
      const first = seen.get(sha256);
      if (first === undefined) {
        seen.set(sha256, path);
        continue;
      }
      const message = `the same key stands at ${first}`;
      findings.refuse("duplicate_key", path, message, "a key belongs to one tenant, once");
    }
  }
}

/** SHA-256 of no bytes. */
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** Residency fails closed: what none of its regions serves is refused to the tenant. */
function checkResidency(
  index: PolicyIndex,
  { name, residency }: Tenant,
  at: { readonly path: string; readonly unserved: Unserved },
): void {
  const { path, unserved } = at;
  checkUnique(residency, path, index.findings);
  for (const [place, region] of residency.entries()) {
    checkReference(index, { kind: "region", name: region, path: `${path}[${place}]` });
  }
  const served = residency.filter((each) => index.regions.has(each));
  const { count, names } = served.length === 0 ? nothing : unserved(served);
  if (count === 0) return;
  if (count === index.policy.models.length) {
    const message = `no region that ${quote(name)} is bound to serves any model`;
    const hint = "add backends there, or regions to the residency";
    index.findings.refuse("residency_unserved", path, message, hint);
    return;
  }
  const message = `no region that ${quote(name)} is bound to serves ${listNames(names)}`;
  const hint = "its requests for them will be refused";
  index.findings.warn("residency_unserved", path, message, hint);
}

/** Models that none of the regions serves: how many, and the first few by name. */
type Unserved = (regions: readonly string[]) => UnservedModels;
type UnservedModels = { readonly count: number; readonly names: readonly string[] };

const nothing: UnservedModels = { count: 0, names: [] };
const namesShown = 16;

/** Models by the set of their regions, one bit per region: there are few such sets, however many models and tenants. */
function createUnserved({ policy, regionsByModel }: PolicyIndex): Unserved {
  const bits = new Map(policy.regions.map((each, place) => [each.name, 1n << BigInt(place)]));
  const maskOf = (regions: Iterable<string>) =>
    [...regions].reduce((mask, region) => mask | (bits.get(region) ?? 0n), 0n);
  const models = new Map<bigint, string[]>();
  for (const { name } of policy.models) {
    const mask = maskOf(regionsByModel.get(name) ?? []);
    const group = models.get(mask);
    if (group === undefined) models.set(mask, [name]);
    else group.push(name);
  }
  return (regions) => {
    const wanted = maskOf(regions);
    const missing = [...models]
      .filter(([mask]) => (mask & wanted) === 0n)
      .map(([, group]) => group);
    return {
      count: missing.reduce((sum, group) => sum + group.length, 0),
      names: missing.flatMap((group) => group.slice(0, namesShown)).slice(0, namesShown),
    };
  };
}
