// One etcd member: a gRPC client of its own, so that we and not a balancer choose who is asked.

import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { err, ok, type Result } from "@meridian/proto/base";
import { type MethodDefinition, serviceDefinition } from "@meridian/proto/grpc";
import {
  type CompactionRequest,
  type CompactionResponse,
  KV,
  Lease,
  type LeaseGrantRequest,
  type LeaseGrantResponse,
  type LeaseKeepAliveRequest,
  type LeaseKeepAliveResponse,
  type LeaseRevokeRequest,
  type LeaseRevokeResponse,
  Maintenance,
  type RangeRequest,
  type RangeResponse,
  type StatusRequest,
  type StatusResponse,
  type TxnRequest,
  type TxnResponse,
  Watch,
  type WatchRequest,
  type WatchResponse,
} from "./gen/etcd_pb.ts";
import { type CallError, callError } from "./status.ts";

export type Called<T> = Promise<Result<T, CallError>>;

/** Certificates for members with https addresses. */
export type EtcdTls = { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

const options: ChannelOptions = {
  // etcd answers pings closer than 5 s with GOAWAY, and so it does to any ping while no call is open: an idle
  // connection is not probed, and a call on a dead one ends by its deadline.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.keepalive_permit_without_calls": 0,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 3_000,
  // Whether a call may be sent twice is ours to know.
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.use_local_subchannel_pool": 1,
  // A page of a listing with every value at its bound (etcd-store.ts).
  "grpc.max_receive_message_length": 80 * 1024 * 1024,
};

const toBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const kv = serviceDefinition(KV, toBuffer);
const lease = serviceDefinition(Lease, toBuffer);
const watch = serviceDefinition(Watch, toBuffer);
const maintenance = serviceDefinition(Maintenance, toBuffer);

/** A stream that fails by itself when its member has no leader. Has an error listener from the start. */
export type MemberStream<Req, Res> = {
  readonly send: (request: Req) => void;
  readonly close: () => void;
  readonly on: (listeners: StreamListeners<Res>) => void;
};

export type StreamListeners<Res> = {
  readonly message: (message: Res) => void;
  /** Once, and not after close(). */
  readonly failed: (message: string) => void;
};

export class EtcdMember {
  readonly url: string;
  readonly #client: Client;

  constructor(url: string, tls: EtcdTls | undefined) {
    this.url = url;
    const { protocol, host } = new URL(url);
    const channel =
      protocol === "https:"
        ? credentials.createSsl(tls?.ca, tls?.key, tls?.cert)
        : credentials.createInsecure();
    this.#client = new Client(host, channel, options);
  }

  range(request: RangeRequest, deadlineMs: number): Called<RangeResponse> {
    return this.#call(kv.range, request, deadlineMs);
  }

  txn(request: TxnRequest, deadlineMs: number): Called<TxnResponse> {
    return this.#call(kv.txn, request, deadlineMs);
  }

  compact(request: CompactionRequest, deadlineMs: number): Called<CompactionResponse> {
    return this.#call(kv.compact, request, deadlineMs);
  }

  grant(request: LeaseGrantRequest, deadlineMs: number): Called<LeaseGrantResponse> {
    return this.#call(lease.leaseGrant, request, deadlineMs);
  }

  revoke(request: LeaseRevokeRequest, deadlineMs: number): Called<LeaseRevokeResponse> {
    return this.#call(lease.leaseRevoke, request, deadlineMs);
  }

  status(request: StatusRequest, deadlineMs: number): Called<StatusResponse> {
    return this.#call(maintenance.status, request, deadlineMs);
  }

  watch(): MemberStream<WatchRequest, WatchResponse> {
    return this.#stream(watch.watch);
  }

  keepAlive(): MemberStream<LeaseKeepAliveRequest, LeaseKeepAliveResponse> {
    return this.#stream(lease.leaseKeepAlive);
  }

  close(): void {
    this.#client.close();
  }

  /** The types of a method's messages are those of its caller above: the definition carries none. */
  #call<Req, Res>(
    method: MethodDefinition<Buffer> | undefined,
    request: Req,
    deadlineMs: number,
  ): Called<Res> {
    const { path, requestSerialize, responseDeserialize } = known(method);
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest<Req, Res>(
        path,
        requestSerialize as (value: Req) => Buffer,
        responseDeserialize as (bytes: Buffer) => Res,
        request,
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (failure, answer) => {
          if (failure !== null) resolve(err(callError(failure, this.url)));
          else if (answer !== undefined) resolve(ok(answer));
          else resolve(err(silence(this.url)));
        },
      );
    });
  }

  #stream<Req, Res>(method: MethodDefinition<Buffer> | undefined): MemberStream<Req, Res> {
    const { path, requestSerialize, responseDeserialize } = known(method);
    const metadata = new Metadata();
    // Without it a stream on a member that lost its quorum stays silent for good.
    metadata.set("hasleader", "true");
    const call = this.#client.makeBidiStreamRequest<Req, Res>(
      path,
      requestSerialize as (value: Req) => Buffer,
      responseDeserialize as (bytes: Buffer) => Res,
      metadata,
      {},
    );
    return memberStream(call, this.url);
  }
}

function memberStream<Req, Res>(
  call: ClientDuplexStream<Req, Res>,
  url: string,
): MemberStream<Req, Res> {
  let listeners: StreamListeners<Res> | undefined;
  function fail(message: string): void {
    const told = listeners;
    listeners = undefined;
    told?.failed(message);
  }
  // Stays on after close(): a cancelled call still emits its error.
  call.on("error", (failure: ServiceError) => fail(callError(failure, url).error.message));
  call.on("end", () => fail(`etcd at ${url} ended the stream`));
  call.on("data", (message: Res) => listeners?.message(message));
  return {
    send: (request) => {
      call.write(request);
    },
    close: () => {
      listeners = undefined;
      call.cancel();
    },
    on: (next) => {
      listeners = next;
    },
  };
}

function known(method: MethodDefinition<Buffer> | undefined): MethodDefinition<Buffer> {
  if (method === undefined) throw new TypeError("the etcd schema lacks a method that we call");
  return method;
}

function silence(url: string): CallError {
  const message = `etcd at ${url} sent neither an answer nor an error (${status.INTERNAL})`;
  return { error: { kind: "unavailable", message }, refused: false };
}
