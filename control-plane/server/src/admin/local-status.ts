// What this control plane sees itself: its proxies, all regions, the backends that its proxies report on.

import { create } from "@bufbuild/protobuf";
import {
  type BackendCondition,
  type Proxies,
  type RegionLoads,
  regionCondition,
} from "@meridian/control-core/fleet";
import type { JudgedBackend, RegionHealth } from "@meridian/control-core/health";
import type { Clock } from "@meridian/proto/base";
import {
  type BackendStatus,
  BackendStatusSchema,
  ControlPlaneStatusSchema,
  type ProxyStatus,
  ProxyStatusSchema,
  type RegionStatus,
  RegionStatusSchema,
  type StatusResponse,
  StatusResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import type { Backend } from "@meridian/proto/gen/policy_pb";
import type { Published } from "../published.ts";
import type { RegionView } from "../region/region-view.ts";
import type { TableKeeper } from "../region/table-keeper.ts";
import { healthTestMessages } from "./backend-explanations.ts";
import { problemMessages } from "./messages.ts";
import { modelStatuses, poolStatuses } from "./table-status.ts";

export type LocalStatusOptions = {
  readonly id: string;
  readonly region: string;
  readonly build: string;
  readonly clock: Clock;
  readonly proxies: Proxies;
  readonly view: RegionView;
  readonly health: RegionHealth;
  readonly loads: RegionLoads;
  readonly table: TableKeeper;
  readonly published: () => Published | undefined;
  readonly storeReachable: () => boolean;
};

const millisecondsMax = 0xffff_ffff;

export function localStatus(options: LocalStatusOptions): StatusResponse {
  const { id, region, build, published, storeReachable } = options;
  const current = published();
  const backends = (current?.policy.backends ?? []).map((each) => backendStatus(each, options));
  const regions = (current?.policy.regions ?? []).map(({ name }) =>
    regionStatus(name, backends, options),
  );
  const proxies = proxyStatuses(options);
  const version = current === undefined ? {} : { policy: current.version };
  const self = create(ControlPlaneStatusSchema, {
    id,
    region,
    build,
    state: storeReachable() ? "serving" : "stale",
    proxies: proxies.length,
    ...version,
  });
  return create(StatusResponseSchema, {
    ...version,
    controlPlanes: [self],
    regions,
    proxies: [...proxies],
    backends,
    healthTests:
      current === undefined ? [] : [...healthTestMessages(options.health.tests, current.policy)],
    pools: poolStatuses(options),
    models: modelStatuses(options),
  });
}

function proxyStatuses({ proxies, clock, id }: LocalStatusOptions): readonly ProxyStatus[] {
  return proxies.list(clock.now()).map((each) =>
    create(ProxyStatusSchema, {
      id: each.id,
      region: each.region,
      build: each.build,
      ...(each.applied === undefined ? {} : { applied: each.applied }),
      stateAgeMs: each.stateAgeMs,
      seenMs: milliseconds(each.seenMs),
      refused: problemMessages(each.refused),
      liveRequests: each.liveRequests,
      controlPlane: id,
    }),
  );
}

function regionStatus(
  name: string,
  backends: readonly BackendStatus[],
  { view, clock }: LocalStatusOptions,
): RegionStatus {
  const drain = view.drains().regions.get(name);
  const condition = regionCondition(name, view.signs, drain !== undefined, clock.now());
  const own = backends.filter((each) => each.region === name);
  return create(RegionStatusSchema, {
    name,
    state: condition.state,
    ageMs: condition.ageMs,
    proxies: condition.proxies,
    backends: own.length,
    available: own.filter((each) => each.state === "available").length,
    drainedUntilMs: BigInt(drain?.untilMs ?? 0),
    reason: drain?.reason ?? "",
  });
}

function backendStatus(
  { name, region, serves }: Backend,
  { view, proxies, health, loads, clock }: LocalStatusOptions,
): BackendStatus {
  const drain = view.drains().backends.get(name);
  const condition = proxies.backend(region, name, clock.now());
  const judged = health.backend(name, clock.now());
  const capacity = loads.capacity(name, clock.now());
  return create(BackendStatusSchema, {
    name,
    region,
    state: drain === undefined ? stateOf(condition, judged) : "draining",
    models: serves.map((each) => each.model),
    inFlight: condition.inFlight,
    ejectedBy: condition.ejectedBy,
    succeeded: BigInt(condition.succeeded),
    failed: BigInt(condition.failed),
    drainedUntilMs: BigInt(drain?.untilMs ?? 0),
    verdict: judged?.verdict ?? "",
    verdictReason: judged === undefined || judged.verdict === "healthy" ? "" : judged.health.reason,
    share: Math.round((judged?.share ?? 0) * 1_000),
    canaryTokensPerDay: BigInt(judged?.canaryTokensPerDay ?? 0),
    ...(capacity === undefined ? {} : { capacityTokens: Math.round(capacity.tokens) }),
    capacitySource: capacity?.source ?? "",
  });
}

/** The verdict goes before what single proxies hold out. */
function stateOf(condition: BackendCondition, judged: JudgedBackend | undefined): string {
  if (judged === undefined) return condition.state;
  return judged.verdict === "unhealthy" ? "ejected" : "available";
}

function milliseconds(value: number): number {
  return Math.min(Math.max(0, Math.round(value)), millisecondsMax);
}
