// For tests: a control plane that does as it is told, on a real gRPC port with real certificates.

import { create } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import {
  type PolicyPush,
  type PolicyRequest,
  type ReportAck,
  ReportAckSchema,
  type ReportFrame,
  type StateFrame,
  StateFrameSchema,
  type StateRequest,
  SyncService,
  Verdict,
} from "@meridian/proto/gen/sync_pb";
import { serviceDefinition } from "@meridian/proto/grpc";
import { makePush } from "@meridian/proto/snapshot";
import type { TlsFiles } from "../tls.ts";

type Case<K extends PolicyRequest["kind"]["case"]> = Extract<
  PolicyRequest["kind"],
  { readonly case: K }
>;

export class TestControlPlane {
  readonly hellos: Case<"hello">["value"][] = [];
  readonly acks: Case<"ack">["value"][] = [];
  readonly nacks: Case<"nack">["value"][] = [];
  readonly reports: ReportFrame[] = [];
  port = 0;
  #server: Server | undefined;
  readonly #tls: TlsFiles;
  readonly #streams = new Set<ServerDuplexStream<PolicyRequest, PolicyPush>>();
  #snapshot: Snapshot | undefined;
  #draining: readonly string[] = [];
  #healthy: readonly string[] = [];

  constructor(tls: TlsFiles) {
    this.#tls = tls;
  }

  /** Starts at the former port, if there was one. */
  async start(): Promise<this> {
    const server = new Server();
    // Its serialisers take each method's own message, which grpc-js's type can't say.
    const definition = serviceDefinition(SyncService, (bytes) =>
      Buffer.from(bytes),
    ) as unknown as ServiceDefinition;
    server.addService(definition, {
      policy: (call: ServerDuplexStream<PolicyRequest, PolicyPush>) => this.#servePolicy(call),
      state: (call: ServerWritableStream<StateRequest, StateFrame>) => this.#serveState(call),
      report: (call: ServerDuplexStream<ReportFrame, ReportAck>) => this.#serveReport(call),
    });
    const { ca, cert, key } = this.#tls;
    const secure = ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: cert }], true);
    this.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.port}`, secure, (cause, port) =>
        cause === null ? resolve(port) : reject(cause),
      );
    });
    this.#server = server;
    return this;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Ends at once, as a killed process does. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#streams.clear();
  }

  /** Pushes to whoever is connected, whole, and to whoever comes. */
  publish(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.push(makePush(undefined, snapshot));
  }

  push(push: PolicyPush): void {
    for (const each of this.#streams) each.write(push);
  }

  /** Regions that an operator drains, from the next frame on. */
  drain(regions: readonly string[]): void {
    this.#draining = regions;
  }

  /** Backends of which it says that they are well, whatever is reported, from the next frame on. */
  praise(backends: readonly string[]): void {
    this.#healthy = backends;
  }

  #servePolicy(call: ServerDuplexStream<PolicyRequest, PolicyPush>): void {
    this.#streams.add(call);
    call.on("error", () => this.#streams.delete(call));
    call.on("end", () => call.end());
    call.on("data", ({ kind }: PolicyRequest) => {
      if (kind.case === "ack") this.acks.push(kind.value);
      if (kind.case === "nack") this.nacks.push(kind.value);
      if (kind.case !== "hello") return;
      this.hellos.push(kind.value);
      const snapshot = this.#snapshot;
      if (snapshot === undefined || snapshot.hash === kind.value.heldHash) return;
      call.write(makePush(undefined, snapshot));
    });
  }

  #serveState(call: ServerWritableStream<StateRequest, StateFrame>): void {
    let sequence = 0n;
    const send = () => {
      sequence += 1n;
      const version = this.#snapshot?.version;
      call.write(
        create(StateFrameSchema, {
          sequence,
          storeReachable: true,
          regions: this.#draining.map((name) => ({ name, draining: true })),
          backends: this.#healthy.map((name) => ({ name, verdict: Verdict.healthy, share: 1_000 })),
          ...(version === undefined ? {} : { policy: version }),
        }),
      );
    };
    send();
    const timer = setInterval(send, 200);
    call.on("cancelled", () => clearInterval(timer));
  }

  #serveReport(call: ServerDuplexStream<ReportFrame, ReportAck>): void {
    call.on("error", () => call.end());
    call.on("data", (frame: ReportFrame) => {
      this.reports.push(frame);
      call.write(create(ReportAckSchema, { sequence: frame.sequence }));
    });
  }
}
