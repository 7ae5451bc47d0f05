// One policy to one snapshot per region. The same policy gives the same bytes, so that hashes tell what changed.

import { create, toBinary } from "@bufbuild/protobuf";
import type { Policy, Region } from "@meridian/proto/gen/policy_pb";
import {
  BackendResourceSchema,
  ModelResourceSchema,
  RegionResourceSchema,
  type Resource,
  RouteResourceSchema,
  type Snapshot,
  TenantResourceSchema,
  type Version,
} from "@meridian/proto/gen/snapshot_pb";
import { makeResource, makeSnapshot, resourceName } from "@meridian/proto/snapshot";

/**
 * A snapshot for each region of the policy, by the region's name. All regions get every region, model, route and tenant
 * (a request may come in anywhere, and residency is decided where it comes in); backends go to their own region alone.
 * The policy must have passed parsePolicy and checkPolicy.
 */
export function compile(policy: Policy, version: Version): ReadonlyMap<string, Snapshot> {
  const shared = sharedResources(policy);
  const backends = backendsByRegion(policy);
  return new Map(
    policy.regions.map(({ name }) => [
      name,
      makeSnapshot(version, name, [
        ...shared,
        ...policy.regions.map((region) => regionResource(region, region.name === name, policy)),
        ...(backends.get(name) ?? []),
      ]),
    ]),
  );
}

/** What every region's proxies are told; encoded and hashed once. */
function sharedResources(policy: Policy): readonly Resource[] {
  const regions = regionsByModel(policy);
  return [
    ...policy.models.map((model) =>
      makeResource(
        resourceName("model", model.name),
        toBinary(
          ModelResourceSchema,
          create(ModelResourceSchema, { model, regions: regions.get(model.name) ?? [] }),
        ),
      ),
    ),
    ...policy.routes.map((route, place) =>
      makeResource(
        resourceName("route", route.name, place),
        toBinary(RouteResourceSchema, create(RouteResourceSchema, { route })),
      ),
    ),
    ...policy.tenants.map((tenant) =>
      makeResource(
        resourceName("tenant", tenant.name),
        toBinary(TenantResourceSchema, create(TenantResourceSchema, { tenant })),
      ),
    ),
  ];
}

/** A region's own proxies are told, with it, how sure their verdicts must be. */
function regionResource(region: Region, isOwn: boolean, { health, backends }: Policy): Resource {
  const own = isOwn ? { ...(health && { health }), fleetBackends: backends.length } : {};
  return makeResource(
    resourceName("region", region.name),
    toBinary(RegionResourceSchema, create(RegionResourceSchema, { region, ...own })),
  );
}

function backendsByRegion(policy: Policy): ReadonlyMap<string, readonly Resource[]> {
  const found = new Map<string, Resource[]>();
  for (const backend of policy.backends) {
    const body = toBinary(BackendResourceSchema, create(BackendResourceSchema, { backend }));
    const resource = makeResource(resourceName("backend", backend.name), body);
    const list = found.get(backend.region);
    if (list === undefined) found.set(backend.region, [resource]);
    else list.push(resource);
  }
  return found;
}

/** For each model the regions with a backend that may be sent requests for it, sorted. */
function regionsByModel(policy: Policy): ReadonlyMap<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const { region, serves, weight } of policy.backends) {
    if (weight === 0) continue;
    for (const { model } of serves) {
      const regions = found.get(model) ?? new Set();
      found.set(model, regions.add(region));
    }
  }
  return new Map([...found].map(([model, regions]) => [model, [...regions].sort()]));
}
