// Asks the other control planes the same question, each with the same short deadline.

import { isIP } from "node:net";
import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { Clock } from "@meridian/proto/base";
import { methodDefinition } from "@meridian/proto/grpc";
import { parseSubjectAltName } from "@meridian/proto/identity";
import type { ControlPlaneRow } from "../region/registration.ts";
import type { TlsFiles } from "../tls.ts";

/** A control plane that was asked; undefined: it did not answer in time. */
export type PeerAnswer<Answer> = {
  readonly row: ControlPlaneRow;
  readonly answer: Answer | undefined;
};

export type PeerQuestion<I extends DescMessage, O extends DescMessage> = {
  readonly method: DescMethodUnary<I, O>;
  readonly request: MessageInitShape<I>;
  /** One that does not answer in this time counts as unreachable. */
  readonly withinMs: number;
};

export class Peers {
  readonly #tls: TlsFiles;
  readonly #clock: Clock;
  readonly #clients = new Map<string, Client>();

  constructor(tls: TlsFiles, clock: Clock) {
    this.#tls = tls;
    this.#clock = clock;
  }

  /** `rows`: all others, as they are registered now. */
  ask<I extends DescMessage, O extends DescMessage>(
    rows: readonly ControlPlaneRow[],
    question: PeerQuestion<I, O>,
  ): Promise<readonly PeerAnswer<MessageShape<O>>[]> {
    this.#forgetOthers(new Set(rows.map((each) => each.address)));
    return Promise.all(
      rows.map(async (row) => ({ row, answer: await this.#askOne(row, question) })),
    );
  }

  close(): void {
    this.#forgetOthers(new Set());
  }

  #askOne<I extends DescMessage, O extends DescMessage>(
    { address }: ControlPlaneRow,
    question: PeerQuestion<I, O>,
  ): Promise<MessageShape<O> | undefined> {
    const method = methodDefinition(question.method, toBuffer);
    const request = create(question.method.input, question.request);
    return new Promise((resolve) => {
      this.#client(address).makeUnaryRequest(
        method.path,
        method.requestSerialize,
        // The method's own answer.
        (bytes) => method.responseDeserialize(bytes) as MessageShape<O>,
        // The serialiser takes what its method takes.
        request as never,
        new Metadata(),
        { deadline: this.#clock.wall() + question.withinMs },
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
