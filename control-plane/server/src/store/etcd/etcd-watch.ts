// The shell of one watch: carries out what the watch engine commands, on streams to etcd's members.

import { performance } from "node:perf_hooks";
import {
  type ProbeResult,
  type WatchCommand,
  WatchEngine,
  type WatchInput,
  type WatchState,
} from "@meridian/control-core/watch";
import { assertNever, type Random } from "@meridian/proto/base";
import type { WatchOptions } from "../store.ts";
import type { WatchRequest, WatchResponse } from "./gen/etcd_pb.ts";
import type { MemberStream } from "./member.ts";
import type { EtcdMembers } from "./members.ts";
import { newestRequest, newsOf, watchRequest } from "./translate.ts";
import { WakeTimer } from "./wake-timer.ts";

export type EtcdWatchOptions = {
  readonly members: EtcdMembers;
  readonly watch: WatchOptions;
  readonly random: Random;
  readonly onState: (state: WatchState, reason: string) => void;
  readonly onEnd: () => void;
};

type OpenStream = {
  readonly id: number;
  readonly stream: MemberStream<WatchRequest, WatchResponse>;
};

export class EtcdWatch {
  readonly #options: EtcdWatchOptions;
  readonly #engine: WatchEngine;
  readonly #timer = new WakeTimer(() => this.#step({ kind: "tick" }));
  readonly #end = () => this.end();
  #open: OpenStream | undefined;
  #ended = false;

  constructor(options: EtcdWatchOptions) {
    this.#options = options;
    const { watch, members, random } = options;
    this.#engine = new WatchEngine({ from: watch.from, endpoints: members.count, random });
    watch.signal.addEventListener("abort", this.#end, { once: true });
  }

  start(): void {
    this.#step({ kind: "start" });
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.stop();
    this.#open?.stream.close();
    this.#open = undefined;
    this.#options.watch.signal.removeEventListener("abort", this.#end);
    this.#options.onEnd();
  }

  #step(input: WatchInput): void {
    if (this.#ended) return;
    for (const command of this.#engine.step(input, performance.now())) this.#carryOut(command);
    if (this.#engine.ended) this.end();
    else if (!this.#ended) this.#timer.set(this.#engine.wakeAt);
  }

  #carryOut(command: WatchCommand): void {
    // A notice may have ended us.
    if (this.#ended) return;
    switch (command.kind) {
      case "open":
        this.#openStream(command.stream, command.endpoint, command.from);
        return;
      case "close":
        this.#open?.stream.close();
        this.#open = undefined;
        return;
      case "probe":
        void this.#probe(command.probe, command.endpoint, command.deadlineMs);
        return;
      case "notify":
        this.#options.watch.notify(command.notice);
        return;
      case "state":
        this.#options.onState(command.state, command.reason);
        return;
      default:
        assertNever(command);
    }
  }

  #openStream(id: number, endpoint: number, from: number): void {
    const stream = this.#options.members.at(endpoint).watch();
    this.#open = { id, stream };
    stream.on({
      message: (response) =>
        this.#step({ kind: "response", stream: id, response: newsOf(response) }),
      failed: (message) => this.#step({ kind: "failed", stream: id, message }),
    });
    stream.send(watchRequest(this.#options.watch.prefix, from));
  }

  async #probe(probe: number, endpoint: number, deadlineMs: number): Promise<void> {
    const { members, watch } = this.#options;
    const answer = await members.at(endpoint).range(newestRequest(watch.prefix), deadlineMs);
    const result: ProbeResult =
      answer.kind === "err"
        ? { kind: "failed", message: answer.error.error.message }
        : {
            kind: "answered",
            revision: Number(answer.value.header?.revision ?? 0n),
            newest: Number(answer.value.kvs[0]?.modRevision ?? 0n),
          };
    this.#step({ kind: "probed", probe, result });
  }
}
