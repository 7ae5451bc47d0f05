// Status over all control planes: each knows its own proxies, so all are asked, and what they say is put together.

import { create } from "@bufbuild/protobuf";
import {
  type BackendStatus,
  type ControlPlaneStatus,
  ControlPlaneStatusSchema,
  type ProxyStatus,
  type RegionStatus,
  type StatusResponse,
  StatusResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import type { PeerAnswer } from "./peers.ts";
import { mergePools } from "./table-status.ts";

/** The local view completed by what others said. */
export function mergeStatus(
  own: StatusResponse,
  answers: readonly PeerAnswer<StatusResponse>[],
): StatusResponse {
  const known = [own, ...answers.flatMap(({ answer }) => (answer === undefined ? [] : [answer]))];
  const proxies = newestProxies(known.flatMap((each) => each.proxies));
  const backends = own.backends.map((each) => bestWitness(each, known));
  return create(StatusResponseSchema, {
    ...(own.policy === undefined ? {} : { policy: own.policy }),
    controlPlanes: controlPlanes(own, answers),
    regions: own.regions.map((each) => withAvailable(each, backends)),
    proxies,
    backends,
    healthTests: own.healthTests,
    pools: [...mergePools(own, known.slice(1))],
    models: own.models,
  });
}

function controlPlanes(
  own: StatusResponse,
  answers: readonly PeerAnswer<StatusResponse>[],
): ControlPlaneStatus[] {
  const others = answers.flatMap(({ row, answer }) => {
    if (answer !== undefined) return answer.controlPlanes;
    const { id, region, build } = row;
    return [create(ControlPlaneStatusSchema, { id, region, build, state: "unreachable" })];
  });
  return [...own.controlPlanes, ...others].sort((a, b) => compare(a.id, b.id));
}

/** A proxy that changed its control plane is known to two: the one that heard of it last knows better. */
function newestProxies(all: readonly ProxyStatus[]): ProxyStatus[] {
  const found = new Map<string, ProxyStatus>();
  for (const each of all) {
    const key = `${each.region}/${each.id}`;
    const other = found.get(key);
    if (other === undefined || each.seenMs < other.seenMs) found.set(key, each);
  }
  return [...found].sort(([a], [b]) => compare(a, b)).map(([, each]) => each);
}

/** What the control plane says whose proxies call the backend; the others know nothing of it. */
function bestWitness(own: BackendStatus, known: readonly StatusResponse[]): BackendStatus {
  let best = own;
  for (const { backends } of known) {
    const other = backends.find((each) => each.name === own.name);
    if (other !== undefined && evidence(other) > evidence(best)) best = other;
  }
  return best;
}

function evidence(each: BackendStatus): number {
  if (each.state === "unknown") return 0;
  const judges = each.verdict === "" ? 0 : 1_000_000;
  return 1 + judges + each.inFlight + each.ejectedBy + Number(each.succeeded + each.failed);
}

function withAvailable(region: RegionStatus, backends: readonly BackendStatus[]): RegionStatus {
  const own = backends.filter((each) => each.region === region.name);
  return { ...region, available: own.filter((each) => each.state === "available").length };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
