// For tests of the data plane, which may not use the control plane's compiler: snapshots and state frames out of plain
// documents, without any check.

import { create, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { type Policy, PolicySchema } from "./gen/meridian/v1/policy_pb.ts";
import {
  BackendResourceSchema,
  ModelResourceSchema,
  RegionResourceSchema,
  RouteResourceSchema,
  type Snapshot,
  TenantResourceSchema,
  VersionSchema,
} from "./gen/meridian/v1/snapshot_pb.ts";
import { type StateFrame, StateFrameSchema } from "./gen/meridian/v1/sync_pb.ts";
import { makeResource, makeSnapshot, resourceName } from "./snapshot/index.ts";

/** One region's snapshot of a policy document. The version's epoch is 1. */
export function fixtureSnapshot(
  region: string,
  document: JsonValue,
  sequence: number = 1,
): Snapshot {
  const policy = fromJson(PolicySchema, document);
  const version = create(VersionSchema, { epoch: 1n, sequence: BigInt(sequence) });
  return makeSnapshot(version, region, [
    ...policy.regions.map((each) =>
      makeResource(
        resourceName("region", each.name),
        toBinary(RegionResourceSchema, create(RegionResourceSchema, { region: each })),
      ),
    ),
    ...policy.backends
      .filter((each) => each.region === region)
      .map((backend) =>
        makeResource(
          resourceName("backend", backend.name),
          toBinary(BackendResourceSchema, create(BackendResourceSchema, { backend })),
        ),
      ),
    ...policy.models.map((model) =>
      makeResource(
        resourceName("model", model.name),
        toBinary(
          ModelResourceSchema,
          create(ModelResourceSchema, { model, regions: regionsServing(policy, model.name) }),
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
  ]);
}

/** A state frame of a document with the schema's names. */
export function fixtureFrame(document: JsonValue): StateFrame {
  return fromJson(StateFrameSchema, document);
}

function regionsServing(policy: Policy, model: string): string[] {
  const serving = policy.backends.filter((backend) =>
    backend.serves.some((each) => each.model === model),
  );
  return [...new Set(serving.map((each) => each.region))].sort();
}
