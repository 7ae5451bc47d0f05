// The admin service: who may call what, and which part answers it.

import { create } from "@bufbuild/protobuf";
import { status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { ok } from "@meridian/proto/base";
import {
  type ApplyRequest,
  type ApplyResponse,
  type DrainRequest,
  type DrainResponse,
  type GetRequest,
  type GetResponse,
  type GetVersionRequest,
  type GetVersionResponse,
  GetVersionResponseSchema,
  type StatusRequest,
  type StatusResponse,
  type UndrainRequest,
  type UndrainResponse,
  type ValidateRequest,
  type ValidateResponse,
} from "@meridian/proto/gen/admin_pb";
import { refuse } from "../grpc/caller.ts";
import { type UnaryOptions, unary } from "../grpc/unary.ts";
import type { ControlPlaneRow } from "../region/registration.ts";
import type { DrainOrders } from "./drain-orders.ts";
import { mergeStatus } from "./fleet-status.ts";
import { type LocalStatusOptions, localStatus } from "./local-status.ts";
import type { PeerStatus } from "./peer-status.ts";
import type { Policies } from "./policies.ts";

export type AdminOptions = {
  readonly calls: UnaryOptions;
  readonly policies: Policies;
  readonly drains: DrainOrders;
  readonly local: LocalStatusOptions;
  readonly peers: PeerStatus;
  /** Registered control planes, this one included. */
  readonly controlPlanes: () => readonly ControlPlaneRow[];
};

const operators = ["operator"] as const;
const operatorsAndPeers = ["operator", "control"] as const;

export function adminService(options: AdminOptions): UntypedServiceImplementation {
  const { calls, policies, drains, local } = options;
  return {
    validate: unary<ValidateRequest, ValidateResponse, "operator">(calls, operators, (request) =>
      policies.validate(request),
    ),
    apply: unary<ApplyRequest, ApplyResponse, "operator">(calls, operators, (request, context) =>
      policies.apply(request, context),
    ),
    get: unary<GetRequest, GetResponse, "operator">(calls, operators, (request) =>
      policies.get(request),
    ),
    drain: unary<DrainRequest, DrainResponse, "operator">(calls, operators, (request, context) =>
      drains.drain(request, context),
    ),
    undrain: unary<UndrainRequest, UndrainResponse, "operator">(
      calls,
      operators,
      (request, context) => drains.undrain(request, context),
    ),
    status: unary<StatusRequest, StatusResponse, "operator" | "control">(
      calls,
      operatorsAndPeers,
      async ({ localOnly }, { caller }) => {
        if (localOnly) return ok(localStatus(local));
        // A control plane that asked others would be asked by them in turn.
        if (caller.role === "control") {
          return refuse(status.PERMISSION_DENIED, "a control plane asks for local_only");
        }
        const others = options.controlPlanes().filter((each) => each.id !== local.id);
        return ok(mergeStatus(localStatus(local), await options.peers.ask(others)));
      },
    ),
    getVersion: unary<GetVersionRequest, GetVersionResponse, "operator">(
      calls,
      operators,
      async () => {
        const { id, region, build } = local;
        return ok(create(GetVersionResponseSchema, { node: { id, region, build } }));
      },
    ),
  };
}
