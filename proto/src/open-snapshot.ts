// Opens a snapshot: its resources' bodies become typed values, or every problem is told.

import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { err, ok, type Problem, problem, type Result } from "./base/index.ts";
import type { Backend, Region, Route, Tenant } from "./gen/meridian/v1/policy_pb.ts";
import {
  BackendResourceSchema,
  type ModelResource,
  ModelResourceSchema,
  RegionResourceSchema,
  type Resource,
  RouteResourceSchema,
  type Snapshot,
  TenantResourceSchema,
  type Version,
} from "./gen/meridian/v1/snapshot_pb.ts";

/** A snapshot's content. Routes are in the order in which they are tried. */
export type OpenedSnapshot = {
  readonly version: Version;
  readonly region: string;
  readonly regions: readonly Region[];
  readonly backends: readonly Backend[];
  readonly models: readonly ModelResource[];
  readonly routes: readonly Route[];
  readonly tenants: readonly Tenant[];
};

/** Decodes every resource. Refuses unknown kinds, bodies that don't parse, and bodies without their message. */
export function openSnapshot(snapshot: Snapshot): Result<OpenedSnapshot, readonly Problem[]> {
  const problems: Problem[] = [];
  const content = {
    regions: [] as Region[],
    backends: [] as Backend[],
    models: [] as ModelResource[],
    routes: [] as Route[],
    tenants: [] as Tenant[],
  };
  for (const resource of snapshot.resources) {
    const found = openResource(resource, content);
    if (found !== undefined) problems.push(found);
  }
  if (snapshot.version === undefined) {
    problems.push(problem("version_missing", "version", "the snapshot has none"));
  }
  if (problems.length > 0 || snapshot.version === undefined) return err(problems);
  return ok({ version: snapshot.version, region: snapshot.region, ...content });
}

type Content = {
  readonly regions: Region[];
  readonly backends: Backend[];
  readonly models: ModelResource[];
  readonly routes: Route[];
  readonly tenants: Tenant[];
};

function openResource(resource: Resource, into: Content): Problem | undefined {
  const kind = resource.name.slice(0, resource.name.indexOf("/"));
  switch (kind) {
    case "region":
      return take(resource, decode(RegionResourceSchema, resource)?.region, into.regions);
    case "backend":
      return take(resource, decode(BackendResourceSchema, resource)?.backend, into.backends);
    case "model": {
      const body = decode(ModelResourceSchema, resource);
      return take(resource, body?.model === undefined ? undefined : body, into.models);
    }
    case "route":
      return take(resource, decode(RouteResourceSchema, resource)?.route, into.routes);
    case "tenant":
      return take(resource, decode(TenantResourceSchema, resource)?.tenant, into.tenants);
    default:
      return problem("unknown_resource", resource.name, "no kind of resource has this name");
  }
}

function decode<D extends DescMessage>(schema: D, resource: Resource): MessageShape<D> | undefined {
  try {
    return fromBinary(schema, resource.body);
  } catch {
    // The reason is of no use to anyone: the bytes are not what the name says, and the caller reports just that.
    return undefined;
  }
}

function take<T>(resource: Resource, value: T | undefined, list: T[]): Problem | undefined {
  if (value === undefined) {
    return problem("resource_malformed", resource.name, "its body is not what its name says");
  }
  list.push(value);
  return undefined;
}
