// Simulated proxies: real streams over mTLS, one connection each, that acknowledge every push at once.
// Started by the policy bench, ends with it.

import { setTimeout as pause } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream, Metadata } from "@grpc/grpc-js";
import {
  type PolicyPush,
  PolicyPushSchema,
  PolicyRequestSchema,
  ReportFrameSchema,
  StateRequestSchema,
  SyncService,
} from "@meridian/proto/gen/sync_pb";
import { methodDefinition } from "@meridian/proto/grpc";
import { type FromLoad, machineMs, type OpenStreams } from "./fan-out-messages.ts";
import { clientCredentials, loopbackChannel, toBuffer } from "./grpc.ts";

const reportEachMs = 1_000;
/** Streams opened at a time: a TLS handshake is milliseconds of processor time on both sides. */
const openAtOnce = 20;

/** One push on its way through the load's streams. */
type Round = {
  readonly bytes: Buffer;
  readonly push: PolicyPush;
  readonly ack: Buffer;
  readonly firstReceivedMs: number;
  acknowledged: number;
};

let streamsWanted = 0;
let round: Round | undefined;

process.on("disconnect", () => process.exit(0));
// The bench of this package sends it.
process.on("message", (message: OpenStreams) => void open(message));

async function open(options: OpenStreams): Promise<void> {
  streamsWanted = options.streams;
  for (let opened = 0; opened < options.streams; opened += openAtOnce) {
    const batch = Math.min(openAtOnce, options.streams - opened);
    await Promise.all(
      Array.from({ length: batch }, (_, index) => openProxy(options, opened + index)),
    );
  }
  send({ kind: "opened" });
}

async function openProxy(options: OpenStreams, index: number): Promise<void> {
  const client = new Client(options.address, clientCredentials(options.tlsDir), {
    ...loopbackChannel,
    "grpc.use_local_subchannel_pool": 1,
  });
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 30_000, (error) =>
      error === undefined ? resolve() : reject(error),
    );
  });
  const node = { id: `${options.name}-${index}`, region: options.region, build: "bench" };
  openPolicy(client, node);
  if (options.lanes === "all") {
    openState(client, node);
    void openReports(client, node);
  }
}

type Node = { readonly id: string; readonly region: string; readonly build: string };

function openPolicy(client: Client, node: Node): void {
  const stream = openStream(client, SyncService.method.policy.name);
  stream.on("data", (bytes: Buffer) => stream.write(acknowledge(bytes)));
  const hello = create(PolicyRequestSchema, { kind: { case: "hello", value: { node } } });
  stream.write(Buffer.from(toBinary(PolicyRequestSchema, hello)));
}

/** The answer to a push; decoded once for all streams, so that the load's own work does not fill the machine. */
function acknowledge(bytes: Buffer): Buffer {
  if (round === undefined || !round.bytes.equals(bytes)) round = beginRound(bytes);
  round.acknowledged += 1;
  if (round.acknowledged === streamsWanted) {
    send({
      kind: "acknowledged",
      pushBase64: bytes.toString("base64"),
      firstReceivedMs: round.firstReceivedMs,
      lastAcknowledgedMs: machineMs(),
    });
  }
  return round.ack;
}

function beginRound(bytes: Buffer): Round {
  const firstReceivedMs = machineMs();
  const push = fromBinary(PolicyPushSchema, bytes);
  const { version, hash } = push;
  const value = version === undefined ? { hash } : { version, hash };
  const ack = create(PolicyRequestSchema, { kind: { case: "ack", value } });
  return {
    bytes,
    push,
    ack: Buffer.from(toBinary(PolicyRequestSchema, ack)),
    firstReceivedMs,
    acknowledged: 0,
  };
}

function openState(client: Client, node: Node): void {
  const { path } = methodDefinition(SyncService.method.state, toBuffer);
  const request = Buffer.from(toBinary(StateRequestSchema, create(StateRequestSchema, { node })));
  const stream = client.makeServerStreamRequest(path, asIs, asIs, request, new Metadata());
  stream.on("data", () => undefined);
  stream.on("error", (error) => send({ kind: "broken", message: `state: ${error.message}` }));
}

async function openReports(client: Client, node: Node): Promise<void> {
  const stream = openStream(client, SyncService.method.report.name);
  stream.on("data", () => undefined);
  for (let sequence = 1n; ; sequence++) {
    const version = round?.push.version;
    const frame = create(ReportFrameSchema, {
      node,
      sequence,
      ...(version === undefined ? {} : { applied: version }),
    });
    stream.write(Buffer.from(toBinary(ReportFrameSchema, frame)));
    await pause(reportEachMs);
  }
}

function openStream(client: Client, method: string): ClientDuplexStream<Buffer, Buffer> {
  const path = `/${SyncService.typeName}/${method}`;
  const stream = client.makeBidiStreamRequest(path, asIs, asIs, new Metadata());
  stream.on("error", (error) => send({ kind: "broken", message: `${method}: ${error.message}` }));
  return stream;
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function send(message: FromLoad): void {
  // The bench may be gone already; then "disconnect" ends the process.
  if (process.connected) process.send?.(message);
}
