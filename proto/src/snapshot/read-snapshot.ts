// Decodes a snapshot's resources into the view that proxies route by. Any bytes at all may come in; what can't be read
// is a problem with the resource's name as its path.

import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { err, ok, type Problem, problem, type Result } from "../base/index.ts";
import {
  BackendResourceSchema,
  ModelResourceSchema,
  RegionResourceSchema,
  type Resource,
  RouteResourceSchema,
  type Snapshot,
  TenantResourceSchema,
} from "../gen/meridian/v1/snapshot_pb.ts";
import { type ResourceKind, splitResourceName } from "./resource-name.ts";
import type {
  BackendView,
  ModelView,
  RegionEntry,
  RegionView,
  RouteView,
  TenantView,
} from "./view.ts";
import {
  viewBackend,
  viewHealth,
  viewModel,
  viewRegion,
  viewRoute,
  viewTenant,
} from "./view-resource.ts";

type Lists = {
  readonly regions: RegionEntry[];
  readonly backends: BackendView[];
  readonly models: ModelView[];
  readonly routes: RouteView[];
  readonly tenants: TenantView[];
};

/**
 * The typed content of a snapshot: every problem of reading at once. Whether its hashes fit and its names resolve is
 * checkSnapshot's to say.
 */
export function readSnapshot(snapshot: Snapshot): Result<RegionView, readonly Problem[]> {
  const lists: Lists = { regions: [], backends: [], models: [], routes: [], tenants: [] };
  const problems = snapshot.resources.flatMap((each) => readResource(each, lists));
  const { version, region, hash } = snapshot;
  if (version === undefined) problems.push(problem("version_missing", "version", "it has none"));
  if (problems.length > 0 || version === undefined) return err(problems);
  const own = lists.regions.find((each) => each.name === region);
  // A control plane of an older build says nothing of it: the own region's backends are counted then.
  const health = own?.health ?? viewHealth(undefined, Math.max(1, lists.backends.length));
  return ok({ version, hash, region, ...lists, health });
}

/** Appends what the resource says to its list, or tells why it can't be read. */
function readResource(resource: Resource, lists: Lists): readonly Problem[] {
  const parts = splitResourceName(resource.name);
  if (parts === undefined) {
    return [problem("unknown_kind", resource.name, "no resource has a name like this", upgrade)];
  }
  const named = readers[parts.kind](resource.body, lists);
  if (named.kind === "err") return [problem("unreadable", resource.name, named.error, upgrade)];
  if (named.value === parts.name) return [];
  const message = `the body names ${JSON.stringify(named.value.slice(0, 64))}`;
  return [problem("name_mismatch", resource.name, message)];
}

const upgrade = "control plane and proxy may be builds too far apart; upgrade the older one";

/** By kind: decode, append, and return the name that the body bears. */
const readers: {
  readonly [K in ResourceKind]: (body: Uint8Array, lists: Lists) => Result<string, string>;
} = {
  region: (body, lists) => {
    const found = decode(RegionResourceSchema, body);
    const more = { health: found?.health, fleetBackends: found?.fleetBackends ?? 0 };
    return append(found?.region, (region) => viewRegion(region, more), lists.regions);
  },
  backend: (body, lists) =>
    append(decode(BackendResourceSchema, body)?.backend, viewBackend, lists.backends),
  model: (body, lists) => {
    const found = decode(ModelResourceSchema, body);
    return append(found?.model, (model) => viewModel(model, found?.regions ?? []), lists.models);
  },
  route: (body, lists) => append(decode(RouteResourceSchema, body)?.route, viewRoute, lists.routes),
  tenant: (body, lists) =>
    append(decode(TenantResourceSchema, body)?.tenant, viewTenant, lists.tenants),
};

function append<M, V extends { readonly name: string }>(
  message: M | undefined,
  view: (message: M) => Result<V, string>,
  list: V[],
): Result<string, string> {
  if (message === undefined) return err("the body can't be decoded, or is empty");
  const viewed = view(message);
  if (viewed.kind === "err") return viewed;
  list.push(viewed.value);
  return ok(viewed.value.name);
}

/** undefined when the bytes are no such message. */
function decode<D extends DescMessage>(schema: D, body: Uint8Array): MessageShape<D> | undefined {
  try {
    return fromBinary(schema, body);
  } catch {
    // The library tells undecodable bytes by throwing; which byte it was helps nobody.
    return undefined;
  }
}
