// A linter for snapshots: run before one is published and again before a proxy serves from it. What it refuses would
// otherwise fail one request at a time.

import { type Problem, problem } from "./base/index.ts";
import type { Snapshot } from "./gen/meridian/v1/snapshot_pb.ts";
import { sectionLimits } from "./policy/document-rules.ts";
import { createFindings, type Findings, quote } from "./policy/findings.ts";
import { hashBytes, hashResources, type RegionView, readSnapshot } from "./snapshot/index.ts";

const resourcesMax = Object.values(sectionLimits).reduce((sum, each) => sum + each, 0);
/** Source: reference 1.4. */
const bodyBytesMax = 65_536;

/**
 * Problems that make a snapshot unfit to serve from; empty when it is fit. Looks at order, hashes, bodies, sizes, and
 * that every name resolves within the snapshot. Never throws.
 */
export function checkSnapshot(snapshot: Snapshot): readonly Problem[] {
  if (snapshot.resources.length > resourcesMax) {
    const message = `${snapshot.resources.length} resources are more than ${resourcesMax}`;
    return [problem("too_large", "resources", message)];
  }
  const findings = createFindings();
  checkOrder(snapshot, findings);
  checkHashes(snapshot, findings);
  const view = readSnapshot(snapshot);
  if (view.kind === "err") return [...findings.list(), ...view.error];
  checkCounts(view.value, findings);
  checkReferences(view.value, findings);
  return findings.list();
}

/** Sorted by name, each name once; routes numbered without a gap. */
function checkOrder({ resources }: Snapshot, findings: Findings): void {
  let before: string | undefined;
  let routes = 0;
  for (const { name } of resources) {
    if (before !== undefined && before >= name) {
      findings.refuse("out_of_order", name, `it stands after ${quote(before)}`, "");
    }
    if (name.startsWith("route/")) {
      const place = String(routes).padStart(4, "0");
      if (!name.startsWith(`route/${place}/`)) {
        findings.refuse("out_of_order", name, `route number ${place} is missing or doubled`, "");
      }
      routes += 1;
    }
    before = name;
  }
}

function checkHashes({ resources, hash }: Snapshot, findings: Findings): void {
  for (const { name, body, hash: stated } of resources) {
    if (body.length > bodyBytesMax) {
      const message = `${body.length} bytes are more than ${bodyBytesMax}`;
      findings.refuse("too_large", name, message, "");
    }
    if (hashBytes(body) !== stated) {
      findings.refuse("hash_mismatch", name, "its body does not have its hash", "");
    }
  }
  if (hashResources(resources) !== hash) {
    findings.refuse("hash_mismatch", "hash", "the whole does not have the hash stated", "");
  }
}

/** Not too much, and not nothing: an empty snapshot is a defect somewhere, never a policy. */
function checkCounts(view: RegionView, findings: Findings): void {
  const { regions, backends, models, routes, tenants } = view;
  for (const [kind, list] of Object.entries({ regions, backends, models, routes, tenants })) {
    const max = sectionLimits[kind] ?? 0;
    if (list.length > max) findings.refuse("too_large", kind, `more than ${max}`, "");
  }
  if (models.length === 0) findings.refuse("empty_snapshot", "models", "there is no model", "");
  if (!regions.some((each) => each.name === view.region)) {
    findings.refuse("dangling_name", "region", `${quote(view.region)} is not among them`, "");
  }
}

function checkReferences(view: RegionView, findings: Findings): void {
  const regions = { kind: "region", names: namesOf(view.regions), findings };
  const models = { kind: "model", names: namesOf(view.models), findings };
  const tenants = { kind: "tenant", names: namesOf(view.tenants), findings };
  for (const { name, serves, region } of view.backends) {
    const path = `backend/${name}`;
    if (region !== view.region) {
      const message = `it is of ${quote(region)}, the snapshot of ${quote(view.region)}`;
      findings.refuse("region_mismatch", path, message, "");
    }
    resolve(
      serves.map((each) => each.model),
      path,
      models,
    );
  }
  for (const { name, degradeTo, regions: serving } of view.models) {
    resolve(degradeTo, `model/${name}`, models);
    resolve(serving, `model/${name}`, regions);
  }
  for (const [place, { name, targets, match, shadow }] of view.routes.entries()) {
    const path = `route/${String(place).padStart(4, "0")}/${name}`;
    const shadows = shadow === undefined ? [] : [shadow.model];
    resolve([...targets.map((each) => each.model), ...shadows], path, models);
    resolve(match.tenants, path, tenants);
  }
  for (const { name, residency } of view.tenants) resolve(residency, `tenant/${name}`, regions);
}

type Names = {
  readonly kind: string;
  readonly names: ReadonlySet<string>;
  readonly findings: Findings;
};

function resolve(
  references: readonly string[],
  path: string,
  { kind, names, findings }: Names,
): void {
  for (const each of references) {
    if (names.has(each)) continue;
    findings.refuse("dangling_name", path, `no ${kind} is named ${quote(each)}`, "");
  }
}

function namesOf(entries: readonly { readonly name: string }[]): ReadonlySet<string> {
  return new Set(entries.map((each) => each.name));
}
