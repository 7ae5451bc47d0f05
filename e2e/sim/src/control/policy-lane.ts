// Pushes policy to proxies by the real subscription core. Mirrors the slow lane of control-plane/server.

import type { Proxies, ProxyNode } from "@meridian/control-core/fleet";
import {
  createPacing,
  openSubscription,
  type SnapshotRef,
  type Subscription,
  type SubscriptionCommand,
  type SubscriptionEvent,
  stepSubscription,
} from "@meridian/control-core/subscription";
import { assertNever, type Problem } from "@meridian/proto/base";
import type { Snapshot, Version } from "@meridian/proto/gen/snapshot_pb";
import type { PolicyPush } from "@meridian/proto/gen/sync_pb";
import { makePush } from "@meridian/proto/snapshot";
import type { SimNode } from "../net/node.ts";
import type { Published } from "./policies.ts";

/** What a stream of the lane is given to speak by. */
export type PolicyStreamPorts = {
  readonly push: (push: PolicyPush) => void;
  readonly close: (reason: string) => void;
};

export type PolicyStream = {
  readonly hello: (held: Version | undefined, hash: string) => void;
  readonly ack: (version: Version, hash: string) => void;
  readonly nack: (version: Version | undefined, problems: readonly Problem[]) => void;
  readonly gone: () => void;
};

type Stream = {
  readonly id: string;
  readonly proxy: ProxyNode;
  readonly ports: PolicyStreamPorts;
  subscription: Subscription;
  isOver: boolean;
};

const keptMax = 16;

export class PolicyLane {
  readonly #node: SimNode;
  readonly #proxies: Proxies;
  readonly #pacing = createPacing();
  readonly #streams = new Map<string, Stream>();
  readonly #kept = new Map<string, Map<string, Snapshot>>();
  readonly #newest = new Map<string, Snapshot>();
  #ids = 0;

  constructor(node: SimNode, proxies: Proxies) {
    this.#node = node;
    this.#proxies = proxies;
    node.every(1_000, () => {
      for (const stream of [...this.#streams.values()]) this.#step(stream, { kind: "time" });
    });
  }

  publish({ snapshots }: Published): void {
    for (const [region, snapshot] of snapshots) {
      const kept = this.#kept.get(region) ?? new Map<string, Snapshot>();
      this.#kept.set(region, kept.set(snapshot.hash, snapshot));
      for (const hash of kept.keys()) {
        if (kept.size <= keptMax) break;
        kept.delete(hash);
      }
      this.#newest.set(region, snapshot);
    }
    for (const stream of [...this.#streams.values()]) {
      const snapshot = this.#refOf(stream.proxy.region);
      if (snapshot !== undefined) this.#step(stream, { kind: "published", snapshot });
    }
  }

  open(proxy: ProxyNode, ports: PolicyStreamPorts): PolicyStream {
    this.#ids += 1;
    const stream: Stream = {
      id: String(this.#ids),
      proxy,
      ports,
      subscription: openSubscription(this.#node.now(), this.#refOf(proxy.region)),
      isOver: false,
    };
    this.#streams.set(stream.id, stream);
    return {
      hello: (version, hash) => {
        this.#proxies.greet(proxy, this.#node.now(), version);
        const held = version === undefined ? undefined : { version, hash };
        this.#step(stream, { kind: "hello", held });
      },
      ack: (version, hash) => {
        this.#step(stream, { kind: "ack", version, hash });
        if (!stream.isOver) this.#proxies.ack(proxy, version, this.#node.now());
      },
      nack: (version, problems) => {
        this.#step(stream, { kind: "nack", version, problems });
        if (!stream.isOver) this.#proxies.nack(proxy, problems, this.#node.now());
      },
      gone: () => this.#forget(stream),
    };
  }

  #refOf(region: string): SnapshotRef | undefined {
    const snapshot = this.#newest.get(region);
    if (snapshot?.version === undefined) return undefined;
    return { version: snapshot.version, hash: snapshot.hash };
  }

  #step(stream: Stream, event: SubscriptionEvent): void {
    if (stream.isOver) return;
    const kept = this.#kept.get(stream.proxy.region);
    const context = { now: this.#node.now(), holds: (hash: string) => kept?.has(hash) ?? false };
    const { state, commands } = stepSubscription(stream.subscription, event, context);
    stream.subscription = state;
    for (const command of commands) this.#carryOut(stream, command);
  }

  #carryOut(stream: Stream, command: SubscriptionCommand): void {
    switch (command.kind) {
      case "push": {
        const { region } = stream.proxy;
        const newest = this.#newest.get(region);
        if (newest === undefined) return;
        stream.ports.push(makePush(this.#kept.get(region)?.get(command.fromHash), newest));
        return;
      }
      case "enter":
        if (this.#pacing.enter(stream.id)) this.#step(stream, { kind: "entered" });
        return;
      case "leave":
        this.#leave(stream);
        return;
      case "close":
        this.#forget(stream);
        stream.ports.close(command.reason);
        return;
      default:
        assertNever(command);
    }
  }

  #leave(stream: Stream): void {
    const next = this.#pacing.leave(stream.id);
    const waiting = next === undefined ? undefined : this.#streams.get(next);
    if (waiting !== undefined) this.#step(waiting, { kind: "entered" });
  }

  #forget(stream: Stream): void {
    if (stream.isOver) return;
    stream.isOver = true;
    this.#streams.delete(stream.id);
    this.#leave(stream);
  }
}
