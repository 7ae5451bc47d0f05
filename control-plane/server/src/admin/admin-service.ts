// The admin service: who may call what, and which part answers it.

import { create } from "@bufbuild/protobuf";
import { status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { ok } from "@meridian/proto/base";
import {
  AdminService,
  type ApplyRequest,
  type ApplyResponse,
  type DrainRequest,
  type DrainResponse,
  type ExplainBackendRequest,
  type ExplainBackendResponse,
  type ExplainRequest,
  type ExplainResponse,
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
import type { BackendExplanations } from "./backend-explanations.ts";
import type { DrainOrders } from "./drain-orders.ts";
import type { Explanations } from "./explanations.ts";
import { mergeStatus } from "./fleet-status.ts";
import { type LocalStatusOptions, localStatus } from "./local-status.ts";
import type { Peers } from "./peers.ts";
import type { Policies } from "./policies.ts";

export type AdminOptions = {
  readonly calls: UnaryOptions;
  readonly policies: Policies;
  readonly drains: DrainOrders;
  readonly local: LocalStatusOptions;
  readonly explanations: Explanations;
  readonly backendExplanations: BackendExplanations;
  readonly peers: Peers;
  /** Registered control planes but this one. */
  readonly others: () => readonly ControlPlaneRow[];
};

const operators = ["operator"] as const;
const operatorsAndPeers = ["operator", "control"] as const;
/** A control plane that asked others would be asked by them in turn. */
const localAlone = [status.PERMISSION_DENIED, "a control plane asks for local_only"] as const;

const statusQuestion = {
  method: AdminService.method.status,
  request: { localOnly: true },
  withinMs: 2_000,
};

export function adminService(options: AdminOptions): UntypedServiceImplementation {
  const { calls, policies, drains, explanations, backendExplanations, local } = options;
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
        if (caller.role === "control") return refuse(...localAlone);
        const answers = await options.peers.ask(options.others(), statusQuestion);
        return ok(mergeStatus(localStatus(local), answers));
      },
    ),
    explain: unary<ExplainRequest, ExplainResponse, "operator" | "control">(
      calls,
      operatorsAndPeers,
      async (request, { caller }) => {
        if (caller.role === "control" && !request.localOnly) return refuse(...localAlone);
        return await explanations.explain(request);
      },
    ),
    explainBackend: unary<ExplainBackendRequest, ExplainBackendResponse, "operator" | "control">(
      calls,
      operatorsAndPeers,
      async (request, { caller }) => {
        if (caller.role === "control" && !request.localOnly) return refuse(...localAlone);
        return await backendExplanations.explain(request);
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
