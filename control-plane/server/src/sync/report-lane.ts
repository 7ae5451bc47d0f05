// Up: what proxies counted, one frame a second each, acknowledged when it is taken in.

import { create, toBinary } from "@bufbuild/protobuf";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import type { Proxies, RegionLoads } from "@meridian/control-core/fleet";
import type { RegionHealth } from "@meridian/control-core/health";
import type { Clock } from "@meridian/proto/base";
import { ReportAckSchema, type ReportFrame } from "@meridian/proto/gen/sync_pb";
import { type CallRefusal, identify } from "../grpc/caller.ts";
import { fleetFull, nodeOf } from "./proxy-node.ts";

export type ReportCall = ServerDuplexStream<ReportFrame, Buffer>;

export type ReportLaneOptions = {
  readonly proxies: Proxies;
  readonly health: RegionHealth;
  readonly loads: RegionLoads;
  readonly clock: Clock;
  readonly noteReport: () => void;
};

const streamsMax = 4_000;

export class ReportLane {
  readonly #options: ReportLaneOptions;
  readonly #calls = new Set<ReportCall>();

  constructor(options: ReportLaneOptions) {
    this.#options = options;
  }

  get streams(): number {
    return this.#calls.size;
  }

  serve(call: ReportCall): void {
    const caller = identify(call, ["proxy"]);
    if (caller.kind === "err") {
      this.#fail(call, caller.error);
      return;
    }
    if (this.#calls.size >= streamsMax) {
      this.#fail(call, fleetFull);
      return;
    }
    const { region } = caller.value;
    this.#calls.add(call);
    call.on("data", (frame: ReportFrame) => this.#take(call, region, frame));
    call.on("end", () => {
      this.#calls.delete(call);
      call.end();
    });
    call.on("cancelled", () => this.#calls.delete(call));
    call.on("error", () => this.#calls.delete(call));
  }

  close(): void {
    const refusal = { code: status.UNAVAILABLE, details: "the control plane is stopping" };
    for (const call of [...this.#calls]) this.#fail(call, refusal);
  }

  #take(call: ReportCall, region: string, frame: ReportFrame): void {
    if (call.writableEnded) return;
    const node = nodeOf(frame.node, region);
    if (node.kind === "err") {
      this.#fail(call, node.error);
      return;
    }
    const { proxies, health, loads, clock, noteReport } = this.#options;
    const now = clock.now();
    if (!proxies.report(node.value, frame, now)) {
      this.#fail(call, fleetFull);
      return;
    }
    health.take(node.value, frame.backends, now);
    loads.take(region, frame, now);
    noteReport();
    // A proxy that does not read its acknowledgements loses them, not this process's memory.
    if (call.writableLength > 0) return;
    const ack = toBinary(ReportAckSchema, create(ReportAckSchema, { sequence: frame.sequence }));
    call.write(Buffer.from(ack.buffer, ack.byteOffset, ack.byteLength));
  }

  #fail(call: ReportCall, refusal: CallRefusal): void {
    this.#calls.delete(call);
    call.emit("error", Object.assign(new Error(refusal.details), refusal));
  }
}
