// Fast lane: the whole state of a region to each of its proxies, every second whether anything changed or not, and at
// once on change. A frame is encoded once; who has not read the last one misses this one, since a newer follows.

import { create, toBinary } from "@bufbuild/protobuf";
import { type ServerWritableStream, status } from "@grpc/grpc-js";
import { makeStateFrame, type StateSource } from "@meridian/control-core/fleet";
import type { Clock } from "@meridian/proto/base";
import { StateFrameSchema, type StateRequest } from "@meridian/proto/gen/sync_pb";
import { type CallRefusal, identify } from "../grpc/caller.ts";
import { fleetFull, nodeOf } from "./proxy-node.ts";

export type StateCall = ServerWritableStream<StateRequest, Buffer>;

export type StateLaneOptions = {
  readonly clock: Clock;
  /** What the frames are made from; undefined: no policy is known yet. */
  readonly source: () => StateSource | undefined;
  readonly storeReachable: () => boolean;
  readonly notes: { readonly sent: (frames: number) => void; readonly skipped: () => void };
};

const everyMs = 1_000;
/** Changes in quick succession share a frame. */
const gapMs = 50;
const streamsMax = 4_000;

export class StateLane {
  readonly #options: StateLaneOptions;
  readonly #regions = new Map<string, Set<StateCall>>();
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #sequence = 0n;
  #streams = 0;

  constructor(options: StateLaneOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#flush(), everyMs);
  }

  get streams(): number {
    return this.#streams;
  }

  /** Something changed that proxies should know now. */
  kick(): void {
    if (this.#soon !== undefined) return;
    const waitMs = Math.max(0, this.#flushedAt + gapMs - this.#options.clock.now());
    this.#soon = setTimeout(() => this.#flush(), waitMs);
  }

  serve(call: StateCall): void {
    const caller = identify(call, ["proxy"]);
    if (caller.kind === "err") {
      fail(call, caller.error);
      return;
    }
    const { region } = caller.value;
    const node = nodeOf(call.request.node, region);
    if (node.kind === "err") {
      fail(call, node.error);
      return;
    }
    if (this.#streams >= streamsMax) {
      fail(call, fleetFull);
      return;
    }
    const calls = this.#regions.get(region) ?? new Set();
    this.#regions.set(region, calls);
    calls.add(call);
    this.#streams += 1;
    const forget = () => {
      if (calls.delete(call)) this.#streams -= 1;
    };
    call.on("cancelled", forget);
    call.on("close", forget);
    call.on("error", forget);
    call.write(this.#frame(region));
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    const refusal = { code: status.UNAVAILABLE, details: "the control plane is stopping" };
    for (const calls of this.#regions.values()) for (const call of [...calls]) fail(call, refusal);
  }

  #flush(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#flushedAt = this.#options.clock.now();
    let sent = 0;
    for (const [region, calls] of this.#regions) {
      if (calls.size === 0) continue;
      const frame = this.#frame(region);
      for (const call of calls) {
        // grpc-js queues without bound: whoever has not taken the last frame gets the next one instead of this one.
        if (call.writableLength > 0) {
          this.#options.notes.skipped();
          continue;
        }
        call.write(frame);
        sent += 1;
      }
    }
    if (sent > 0) this.#options.notes.sent(sent);
  }

  #frame(region: string): Buffer {
    this.#sequence += 1n;
    const { clock, source, storeReachable } = this.#options;
    const known = source();
    const view = { region, sequence: this.#sequence, now: clock.now(), wall: clock.wall() };
    const frame =
      known === undefined
        ? create(StateFrameSchema, { sequence: this.#sequence, storeReachable: storeReachable() })
        : makeStateFrame(known, view);
    const bytes = toBinary(StateFrameSchema, frame);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

function fail(call: StateCall, refusal: CallRefusal): void {
  call.emit("error", Object.assign(new Error(refusal.details), refusal));
}
