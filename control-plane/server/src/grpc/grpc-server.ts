// The gRPC server: our services, health and reflection on one port, over mutual TLS.

import { toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  Server,
  type ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { type Address, err, ok, type Result } from "@meridian/proto/base";
import { AdminService, file_meridian_v1_admin } from "@meridian/proto/gen/admin_pb";
import { file_meridian_v1_decision } from "@meridian/proto/gen/decision_pb";
import { file_meridian_v1_policy } from "@meridian/proto/gen/policy_pb";
import { file_meridian_v1_snapshot } from "@meridian/proto/gen/snapshot_pb";
import { file_meridian_v1_sync, SyncService } from "@meridian/proto/gen/sync_pb";
import { serviceDefinition } from "@meridian/proto/grpc";
import { HealthImplementation } from "grpc-health-check";
import { bindMessage } from "../ops-server.ts";

export type Services = {
  readonly sync: UntypedServiceImplementation;
  readonly admin: UntypedServiceImplementation;
};

export type GrpcServer = {
  readonly port: number;
  /** Stops taking calls, gives those under way a moment, then ends them. */
  readonly close: (graceMs: number) => Promise<void>;
};

/** A document has at most 4 MiB; what is larger must still arrive, to be refused in our own words. */
const receiveBytesMax = 16 * 1024 * 1024;

const serverOptions = {
  "grpc.max_receive_message_length": receiveBytesMax,
  "grpc.max_send_message_length": -1,
  // A proxy whose link is cut without a word is noticed, and its streams end.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_concurrent_streams": 256,
};

const serviceNames = ["", SyncService.typeName, AdminService.typeName] as const;

/** Binds the port and serves, or tells in one line why it can't. */
export async function startGrpcServer(
  listen: Address,
  credentials: ServerCredentials,
  services: Services,
): Promise<Result<GrpcServer, string>> {
  const server = new Server(serverOptions);
  server.addService(definitionOf(SyncService), services.sync);
  server.addService(definitionOf(AdminService), services.admin);
  const health = new HealthImplementation(
    Object.fromEntries(serviceNames.map((name) => [name, "SERVING"])),
  );
  health.addToServer(server);
  new ReflectionService(describedFiles()).addToServer(server);
  const bound = await bind(server, listen, credentials);
  if (bound.kind === "err") return bound;
  const close = async (graceMs: number) => {
    for (const name of serviceNames) health.setStatus(name, "NOT_SERVING");
    await shutDown(server, graceMs);
  };
  return ok({ port: bound.value, close });
}

function bind(
  server: Server,
  { host, port }: Address,
  credentials: ServerCredentials,
): Promise<Result<number, string>> {
  const target = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve) => {
    server.bindAsync(target, credentials, (cause, bound) => {
      if (cause === null) return resolve(ok(bound));
      const taken = cause.message.includes("EADDRINUSE");
      const error = taken ? Object.assign(new Error(cause.message), { code: "EADDRINUSE" }) : cause;
      resolve(err(bindMessage("MERIDIAN_LISTEN", { host, port }, error)));
    });
  });
}

function shutDown(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function definitionOf(service: Parameters<typeof serviceDefinition>[0]): ServiceDefinition {
  // The serialisers take what their methods take; gRPC's type for that is any.
  return serviceDefinition(service, toBuffer) as ServiceDefinition;
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The schemas as the generated code carries them; reflection reads nothing but the encoded files of a package. */
function describedFiles(): ConstructorParameters<typeof ReflectionService>[0] {
  const files = [
    file_meridian_v1_policy,
    file_meridian_v1_snapshot,
    file_meridian_v1_decision,
    file_meridian_v1_sync,
    file_meridian_v1_admin,
  ];
  const fileDescriptorProtos = files.map((each) =>
    toBuffer(toBinary(FileDescriptorProtoSchema, each.proto)),
  );
  const format = "Protocol Buffer 3 EnumDescriptorProto";
  return { "meridian.v1": { format, type: {}, fileDescriptorProtos } };
}
