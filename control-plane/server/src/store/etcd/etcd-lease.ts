// The shell of one lease: carries out what the lease engine commands.

import { performance } from "node:perf_hooks";
import { create } from "@bufbuild/protobuf";
import { type LeaseCommand, LeaseEngine, type LeaseInput } from "@meridian/control-core/watch";
import { assertNever, type Instant, type Random } from "@meridian/proto/base";
import type { Lease } from "../store.ts";
import {
  type LeaseKeepAliveRequest,
  LeaseKeepAliveRequestSchema,
  type LeaseKeepAliveResponse,
  LeaseRevokeRequestSchema,
} from "./gen/etcd_pb.ts";
import type { MemberStream } from "./member.ts";
import type { EtcdMembers } from "./members.ts";
import { WakeTimer } from "./wake-timer.ts";

export type EtcdLeaseOptions = {
  readonly members: EtcdMembers;
  readonly id: bigint;
  readonly ttlMs: number;
  /** When the request that was granted was sent. */
  readonly sentAt: Instant;
  readonly electionTimeoutMs: number;
  readonly random: Random;
  readonly onEnd: () => void;
};

const revokeDeadlineMs = 1_000;

export class EtcdLease implements Lease {
  readonly id: string;
  readonly #options: EtcdLeaseOptions;
  readonly #engine: LeaseEngine;
  readonly #timer = new WakeTimer(() => this.#step({ kind: "tick" }));
  readonly #lost = new AbortController();
  readonly lost: AbortSignal = this.#lost.signal;
  #open: MemberStream<LeaseKeepAliveRequest, LeaseKeepAliveResponse> | undefined;
  #revoked: Promise<void> | undefined;

  constructor(options: EtcdLeaseOptions) {
    this.#options = options;
    this.id = options.id.toString();
    this.#engine = new LeaseEngine({ ...options, endpoints: options.members.count });
    this.#step({ kind: "start" });
  }

  /** Never fails: where the store can't be told, the lease ends by itself. */
  release = async (): Promise<void> => {
    this.#step({ kind: "release" });
    await this.#revoked;
  };

  #step(input: LeaseInput): void {
    for (const command of this.#engine.step(input, performance.now())) this.#carryOut(command);
    this.#timer.set(this.#engine.wakeAt);
  }

  #carryOut(command: LeaseCommand): void {
    switch (command.kind) {
      case "open":
        this.#openStream(command.stream, command.endpoint);
        return;
      case "keepalive":
        this.#open?.send(create(LeaseKeepAliveRequestSchema, { ID: this.#options.id }));
        return;
      case "close":
        this.#open?.close();
        this.#open = undefined;
        return;
      case "lost":
        this.#lost.abort(new Error(command.reason));
        return;
      case "revoke":
        this.#revoked = this.#revoke(command.endpoint);
        return;
      default:
        assertNever(command);
    }
  }

  #openStream(id: number, endpoint: number): void {
    const stream = this.#options.members.at(endpoint).keepAlive();
    this.#open = stream;
    stream.on({
      message: (answer) =>
        this.#step({ kind: "acked", stream: id, ttlMs: Number(answer.TTL) * 1_000 }),
      failed: (message) => this.#step({ kind: "failed", stream: id, message }),
    });
  }

  async #revoke(endpoint: number): Promise<void> {
    const request = create(LeaseRevokeRequestSchema, { ID: this.#options.id });
    await this.#options.members.at(endpoint).revoke(request, revokeDeadlineMs);
    this.#options.onEnd();
  }
}
