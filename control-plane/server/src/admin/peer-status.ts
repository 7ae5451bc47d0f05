// Asks the other control planes what they see, each with the same short deadline.

import { isIP } from "node:net";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { Clock } from "@meridian/proto/base";
import {
  AdminService,
  StatusRequestSchema,
  type StatusResponse,
} from "@meridian/proto/gen/admin_pb";
import { methodDefinition } from "@meridian/proto/grpc";
import { parseSubjectAltName } from "@meridian/proto/identity";
import type { ControlPlaneRow } from "../region/registration.ts";
import type { TlsFiles } from "../tls.ts";
import type { PeerAnswer } from "./fleet-status.ts";

/** One that does not answer in this time counts as unreachable. */
const deadlineMs = 2_000;

export class PeerStatus {
  readonly #tls: TlsFiles;
  readonly #clock: Clock;
  readonly #clients = new Map<string, Client>();

  constructor(tls: TlsFiles, clock: Clock) {
    this.#tls = tls;
    this.#clock = clock;
  }

  ask(rows: readonly ControlPlaneRow[]): Promise<readonly PeerAnswer[]> {
    this.#forgetOthers(new Set(rows.map((each) => each.address)));
    return Promise.all(rows.map(async (row) => ({ row, status: await this.#askOne(row) })));
  }

  close(): void {
    this.#forgetOthers(new Set());
  }

  #askOne({ address }: ControlPlaneRow): Promise<StatusResponse | undefined> {
    const method = methodDefinition(AdminService.method.status, toBuffer);
    const request = create(StatusRequestSchema, { localOnly: true });
    return new Promise((resolve) => {
      this.#client(address).makeUnaryRequest(
        method.path,
        method.requestSerialize,
        // The method's own answer.
        (bytes) => method.responseDeserialize(bytes) as StatusResponse,
        // The serialiser takes what its method takes.
        request as never,
        new Metadata(),
        { deadline: this.#clock.wall() + deadlineMs },
        (error, answer) => resolve(error === null ? answer : undefined),
      );
    });
  }

  #client(address: string): Client {
    const known = this.#clients.get(address);
    if (known !== undefined) return known;
    const { ca, cert, key } = this.#tls;
    const channel = credentials.createSsl(ca, key, cert, { checkServerIdentity: checkRole });
    const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
    // TLS has no server names for addresses; who answers is told by the role in its certificate.
    const options = isIP(host) === 0 ? {} : { "grpc.ssl_target_name_override": "localhost" };
    const client = new Client(address, channel, options);
    this.#clients.set(address, client);
    return client;
  }

  #forgetOthers(addresses: ReadonlySet<string>): void {
    for (const [address, client] of this.#clients) {
      if (addresses.has(address)) continue;
      client.close();
      this.#clients.delete(address);
    }
  }
}

function checkRole(_host: string, certificate: { subjectaltname?: string }): Error | undefined {
  const identity = parseSubjectAltName(certificate.subjectaltname);
  return identity?.role === "control" ? undefined : new Error("it is not a control plane");
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
