// Slow lane: carries out what the subscription core decides for each proxy's policy stream. One clock tick looks after
// the deadlines of all streams.

import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import type { Proxies, ProxyNode } from "@meridian/control-core/fleet";
import {
  createPacing,
  openSubscription,
  type Subscription,
  type SubscriptionCommand,
  type SubscriptionEvent,
  stepSubscription,
} from "@meridian/control-core/subscription";
import { assertNever, type Clock, type Problem } from "@meridian/proto/base";
import type { PolicyRequest } from "@meridian/proto/gen/sync_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import { type CallRefusal, identify } from "../grpc/caller.ts";
import type { Published } from "../published.ts";
import { fleetFull, nodeOf } from "./proxy-node.ts";
import { createRegionSnapshots, type RegionSnapshots } from "./push-cache.ts";

export type PolicyCall = ServerDuplexStream<PolicyRequest, Buffer>;

/** What happens on policy streams, for log and metrics. */
export type PolicyLaneNotes = {
  readonly pushed: (bytes: number, isWhole: boolean) => void;
  /** ms: from the push to the answer. */
  readonly acked: (node: ProxyNode, ms: number) => void;
  readonly nacked: (node: ProxyNode, version: string, problems: readonly Problem[]) => void;
  readonly closed: (node: ProxyNode | undefined, reason: string) => void;
};

export type PolicyLaneOptions = {
  readonly proxies: Proxies;
  readonly clock: Clock;
  readonly notes: PolicyLaneNotes;
};

/** Streams beyond this are refused: a control plane is made for a thousand proxies, and a few may reconnect at once. */
const streamsMax = 4_000;
const tickMs = 1_000;

type Stream = {
  readonly id: string;
  readonly call: PolicyCall;
  readonly region: string;
  subscription: Subscription;
  node: ProxyNode | undefined;
  pushedAt: number;
  ended: boolean;
};

export class PolicyLane {
  readonly #options: PolicyLaneOptions;
  readonly #regions = new Map<string, RegionSnapshots>();
  readonly #streams = new Map<string, Stream>();
  readonly #pacing = createPacing();
  readonly #timer: NodeJS.Timeout;
  #ids = 0;

  constructor(options: PolicyLaneOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Full snapshots that are under way, and that wait for a place. */
  get pacing(): { readonly underWay: number; readonly waiting: number } {
    return { underWay: this.#pacing.underWay(), waiting: this.#pacing.waiting() };
  }

  /** A newer policy is in force: every stream of a region that it names is told. */
  publish({ snapshots }: Published): void {
    for (const [region, snapshot] of snapshots) this.#snapshotsOf(region).publish(snapshot);
    for (const stream of [...this.#streams.values()]) {
      if (!snapshots.has(stream.region)) continue;
      const snapshot = this.#snapshotsOf(stream.region).newest();
      if (snapshot !== undefined) this.#step(stream, { kind: "published", snapshot });
    }
  }

  /** Takes over a call, from its hello to its end. */
  serve(call: PolicyCall): void {
    const caller = identify(call, ["proxy"]);
    if (caller.kind === "err") {
      fail(call, caller.error);
      return;
    }
    if (this.#streams.size >= streamsMax) {
      fail(call, fleetFull);
      return;
    }
    const { region } = caller.value;
    const newest = this.#snapshotsOf(region).newest();
    const stream: Stream = {
      id: String(this.#ids++),
      call,
      region,
      subscription: openSubscription(this.#options.clock.now(), newest),
      node: undefined,
      pushedAt: 0,
      ended: false,
    };
    this.#streams.set(stream.id, stream);
    call.on("data", (request: PolicyRequest) => this.#take(stream, request));
    call.on("end", () => {
      this.#forget(stream);
      call.end();
    });
    call.on("cancelled", () => this.#forget(stream));
    call.on("error", () => this.#forget(stream));
  }

  close(): void {
    clearInterval(this.#timer);
    const refusal = { code: status.UNAVAILABLE, details: "the control plane is stopping" };
    for (const stream of [...this.#streams.values()]) this.#end(stream, refusal);
  }

  #take(stream: Stream, { kind }: PolicyRequest): void {
    if (stream.ended) return;
    if (kind.case === undefined) {
      this.#end(stream, { code: status.INVALID_ARGUMENT, details: "a request says nothing" });
      return;
    }
    if (kind.case === "hello") {
      this.#greet(stream, kind.value);
      return;
    }
    const { node } = stream;
    const now = this.#options.clock.now();
    if (kind.case === "ack") {
      const { version, hash } = kind.value;
      this.#step(stream, { kind: "ack", version, hash });
      if (stream.ended || node === undefined || version === undefined) return;
      this.#options.proxies.ack(node, version, now);
      this.#options.notes.acked(node, now - stream.pushedAt);
      return;
    }
    const { version, problems } = kind.value;
    this.#step(stream, { kind: "nack", version, problems });
    if (stream.ended || node === undefined) return;
    this.#options.proxies.nack(node, problems, now);
    this.#options.notes.nacked(node, formatVersion(version), problems);
  }

  #greet(stream: Stream, hello: Extract<PolicyRequest["kind"], { case: "hello" }>["value"]): void {
    const node = nodeOf(hello.node, stream.region);
    if (node.kind === "err") {
      this.#end(stream, node.error);
      return;
    }
    const version = hello.held;
    if (!this.#options.proxies.greet(node.value, this.#options.clock.now(), version)) {
      this.#end(stream, fleetFull);
      return;
    }
    stream.node = node.value;
    const held = version === undefined ? undefined : { version, hash: hello.heldHash };
    this.#step(stream, { kind: "hello", held });
  }

  #step(stream: Stream, event: SubscriptionEvent): void {
    const { holds } = this.#snapshotsOf(stream.region);
    const context = { now: this.#options.clock.now(), holds };
    const { state, commands } = stepSubscription(stream.subscription, event, context);
    stream.subscription = state;
    for (const command of commands) this.#carryOut(stream, command);
  }

  #carryOut(stream: Stream, command: SubscriptionCommand): void {
    switch (command.kind) {
      case "push": {
        const bytes = this.#snapshotsOf(stream.region).push(command.fromHash);
        stream.pushedAt = this.#options.clock.now();
        stream.call.write(bytes);
        this.#options.notes.pushed(bytes.length, command.fromHash === "");
        return;
      }
      case "enter":
        if (this.#pacing.enter(stream.id)) this.#step(stream, { kind: "entered" });
        return;
      case "leave":
        this.#leave(stream);
        return;
      case "close":
        this.#options.notes.closed(stream.node, command.reason);
        this.#end(stream, { code: status.ABORTED, details: command.reason });
        return;
      default:
        assertNever(command);
    }
  }

  /** Whoever waited longest takes the place that is given back. */
  #leave(stream: Stream): void {
    const next = this.#pacing.leave(stream.id);
    const waiting = next === undefined ? undefined : this.#streams.get(next);
    if (waiting !== undefined) this.#step(waiting, { kind: "entered" });
  }

  #end(stream: Stream, refusal: CallRefusal): void {
    if (stream.ended) return;
    this.#forget(stream);
    fail(stream.call, refusal);
  }

  #forget(stream: Stream): void {
    if (stream.ended) return;
    stream.ended = true;
    this.#streams.delete(stream.id);
    this.#leave(stream);
  }

  #tick(): void {
    for (const stream of [...this.#streams.values()]) this.#step(stream, { kind: "time" });
  }

  #snapshotsOf(region: string): RegionSnapshots {
    let found = this.#regions.get(region);
    if (found === undefined) {
      found = createRegionSnapshots();
      this.#regions.set(region, found);
    }
    return found;
  }
}

/** Ends a stream with a status; what waits to be sent goes first. */
function fail(call: PolicyCall, refusal: CallRefusal): void {
  call.emit("error", Object.assign(new Error(refusal.details), refusal));
}
