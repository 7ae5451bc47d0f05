// The streams to one control plane over one connection of their own. Imported only after the proxy serves, so that
// loading gRPC does not delay its start.

import { isIP } from "node:net";
import type { PeerCertificate } from "node:tls";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
} from "@grpc/grpc-js";
import { parseAddress } from "@meridian/proto/base";
import {
  type Answer,
  AnswerSchema,
  type Node,
  type PolicyPush,
  PolicyPushSchema,
  type PolicyRequest,
  PolicyRequestSchema,
  type Question,
  QuestionSchema,
  ReportAckSchema,
  type ReportFrame,
  ReportFrameSchema,
  type StateFrame,
  StateFrameSchema,
  StateRequestSchema,
} from "@meridian/proto/gen/sync_pb";
import { expectRole, type TlsFiles } from "../tls.ts";

/** How to reach a control plane and as whom. */
export type Dial = {
  /** host:port */
  readonly address: string;
  readonly tls: TlsFiles;
  readonly node: Node;
};

/** What comes from the streams. Nothing is told after `close`. */
export type StreamListener = {
  readonly push: (push: PolicyPush) => void;
  readonly frame: (frame: StateFrame) => void;
  /** One of the two streams ended or failed; told once. */
  readonly closed: (reason: string) => void;
};

export type ControlStreams = {
  readonly send: (request: MessageInitShape<typeof PolicyRequestSchema>["kind"]) => void;
  /** Opens the lane up, beside the two streams and independent of them. */
  readonly openReports: (listener: ReportListener) => Lane<ReportFrame>;
  /** Opens the lane on which operators' questions come; independent like the reports. */
  readonly openQuestions: (listener: QuestionListener) => Lane<Answer>;
  readonly close: () => void;
};

export type ReportListener = {
  readonly acknowledged: (sequence: bigint) => void;
  readonly closed: () => void;
};

export type QuestionListener = {
  readonly question: (question: Question) => void;
  readonly closed: () => void;
};

/** A stream beside the two that a proxy lives from. What is sent after its end goes nowhere. */
export type Lane<Message> = {
  readonly send: (message: Message) => void;
  readonly close: () => void;
};

const service = "/meridian.v1.SyncService";
/** A policy has at most 10 MiB as a document. */
const messageBytesMax = 64 * 1_048_576;

const channelOptions: ChannelOptions = {
  // The sync machine decides when to try again, so a connection must not remember another's backoff.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.max_receive_message_length": messageBytesMax,
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
};

/** Opens both streams; `hello` is the policy stream's first message. */
export function openControlStreams(
  dial: Dial,
  hello: MessageInitShape<typeof PolicyRequestSchema>["kind"],
  listener: StreamListener,
): ControlStreams {
  const client = connect(dial);
  const policy = duplex(client, "Policy", PolicyRequestSchema, PolicyPushSchema);
  const state = openState(client, dial);
  const open = new Set<{ cancel(): void }>([policy, state]);
  let isOver = false;

  function over(reason: string): void {
    if (isOver) return;
    isOver = true;
    listener.closed(reason);
  }
  policy.on("data", (push: PolicyPush) => isOver || listener.push(push));
  state.on("data", (frame: StateFrame) => isOver || listener.frame(frame));
  onEnd(policy, (reason) => over(`policy stream: ${reason}`));
  onEnd(state, (reason) => over(`state stream: ${reason}`));
  policy.write(request(hello));
  return {
    send: (kind) => {
      if (!isOver) policy.write(request(kind));
    },
    openReports: ({ acknowledged, closed }) =>
      openLane(duplex(client, "Report", ReportFrameSchema, ReportAckSchema), open, {
        data: (ack) => acknowledged(ack.sequence),
        closed,
      }),
    openQuestions: ({ question, closed }) =>
      openLane(duplex(client, "Questions", AnswerSchema, QuestionSchema), open, {
        data: question,
        closed,
      }),
    close: () => {
      isOver = true;
      for (const each of open) each.cancel();
      client.close();
    },
  };
}

/** Asks for one state frame; `close` ends it. */
export function openProbe(
  dial: Dial,
  listener: Pick<StreamListener, "frame" | "closed">,
): { readonly close: () => void } {
  const client = connect(dial);
  const state = openState(client, dial);
  let isOver = false;
  state.once("data", (frame: StateFrame) => isOver || listener.frame(frame));
  onEnd(state, (reason) => isOver || listener.closed(reason));
  return {
    close: () => {
      isOver = true;
      state.cancel();
      client.close();
    },
  };
}

function openLane<Up, Down>(
  stream: ClientDuplexStream<Up, Down>,
  open: Set<{ cancel(): void }>,
  listener: { readonly data: (message: Down) => void; readonly closed: () => void },
): Lane<Up> {
  let isOver = false;
  open.add(stream);
  stream.on("data", (message: Down) => {
    if (!isOver) listener.data(message);
  });
  onEnd(stream, () => {
    open.delete(stream);
    if (!isOver) listener.closed();
    isOver = true;
  });
  return {
    send: (message) => {
      if (!isOver) stream.write(message);
    },
    close: () => {
      isOver = true;
      open.delete(stream);
      stream.cancel();
    },
  };
}

function connect(dial: Dial): Client {
  const { ca, key, cert } = dial.tls;
  const host = parseAddress(dial.address)?.host ?? "";
  const expectControl = expectRole("control");
  const secure = credentials.createSsl(ca, key, cert, {
    checkServerIdentity: (_: string, certificate: PeerCertificate) =>
      expectControl(host, certificate),
  });
  // grpc-js would send an IP address as the server's name, which TLS forbids and Node refuses. Another name is sent
  // in its place; what the certificate must say stays the address.
  const named = isIP(host) === 0 ? {} : { "grpc.ssl_target_name_override": "localhost" };
  return new Client(dial.address, secure, { ...channelOptions, ...named });
}

function openState(client: Client, dial: Dial): ClientReadableStream<StateFrame> {
  return client.makeServerStreamRequest(
    `${service}/State`,
    encoder(StateRequestSchema),
    decoder(StateFrameSchema),
    create(StateRequestSchema, { node: dial.node }),
  );
}

function duplex<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: string,
  input: I,
  output: O,
): ClientDuplexStream<MessageShape<I>, MessageShape<O>> {
  return client.makeBidiStreamRequest(`${service}/${method}`, encoder(input), decoder(output));
}

/** gRPC tells a failure as an error and a server's ending as the end of the data. */
function onEnd(
  stream: { on(event: "error" | "end", listener: (cause?: Error) => void): unknown },
  ended: (reason: string) => void,
): void {
  stream.on("error", (cause) => ended(cause?.message ?? "failed"));
  stream.on("end", () => ended("ended by the control plane"));
}

function request(kind: MessageInitShape<typeof PolicyRequestSchema>["kind"]): PolicyRequest {
  return create(PolicyRequestSchema, kind === undefined ? {} : { kind });
}

function encoder<D extends DescMessage>(schema: D): (message: MessageShape<D>) => Buffer {
  return (message) => {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function decoder<D extends DescMessage>(schema: D): (bytes: Buffer) => MessageShape<D> {
  return (bytes) =>
    fromBinary(schema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
