// A control plane's way to the store, as its shell has it: the nearest member first, a deadline for every call, and the
// real watch engine, lease engine and mirror in virtual time. Mirrors control-plane/server/src/store.

import {
  type Change,
  EndpointOrder,
  type Entry,
  type LeaseCommand,
  LeaseEngine,
  Mirror,
  type WatchCommand,
  WatchEngine,
  type WatchInput,
  type WatchNotice,
} from "@meridian/control-core/watch";
import { assertNever, fullJitterMs, type Random } from "@meridian/proto/base";
import type { Timer } from "../kernel/timeline.ts";
import type { SimNode } from "../net/node.ts";
import type { Member } from "./member.ts";
import { raftTimes } from "./raft.ts";
import type { Applied, LogCommand } from "./raft-messages.ts";
import type { StoreCluster } from "./store-cluster.ts";

/** Of one call to one member; as the shell's. */
const callDeadlineMs = 5_000;
/** A member that failed is avoided for so long. */
const restMs = 10_000;

export type MirrorState = "fresh" | "stale";

export type SimMirror = {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly revision: () => number;
  readonly state: () => MirrorState;
};

export class StoreClient {
  readonly node: SimNode;
  readonly random: Random;
  readonly #cluster: StoreCluster;
  readonly #members: readonly Member[];
  readonly #order: EndpointOrder;
  /** How much later than it should this client sends its writes; for scenarios. */
  commitDelayMs = 0;

  constructor(cluster: StoreCluster, node: SimNode, random: Random) {
    this.#cluster = cluster;
    this.node = node;
    this.random = random.fork("store");
    this.#members = cluster.nearest(node.region);
    this.#order = new EndpointOrder(this.#members.length, restMs);
  }

  /** undefined: no answer in time; it may have taken effect. */
  commit(command: LogCommand, done: (applied: Applied | undefined) => void): void {
    const send = (): void =>
      this.#withDeadline(
        (member, answer) => this.#cluster.commit(this.node, member, command, answer),
        done,
      );
    if (this.commitDelayMs === 0) send();
    else this.node.after(this.commitDelayMs, send);
  }

  put(key: string, value: unknown, done: (applied: Applied | undefined) => void): void {
    const puts = [{ key, value: encodeJson(value), lease: 0 }];
    this.commit({ kind: "txn", compare: [], puts, deletes: [] }, done);
  }

  /** A copy of all keys with a prefix; mirrors the shell's openMirror. */
  mirror(
    prefix: string,
    told: {
      readonly onChange: (changes: readonly Change[]) => void;
      readonly onState: () => void;
      readonly onReady: () => void;
    },
  ): SimMirror {
    const mirror = new Mirror();
    const { node, random } = this;
    const fork = random.fork(prefix);
    let state: MirrorState = "stale";
    let grace: Timer | undefined;
    let attempts = 0;
    let isReady = false;

    const enter = (next: MirrorState): void => {
      if (state === next) return;
      state = next;
      told.onState();
    };
    const lose = (): void => {
      grace ??= node.after(2_000, () => enter("stale"));
    };
    const regain = (): void => {
      node.cancel(grace);
      grace = undefined;
      enter("fresh");
    };
    const tell = (changes: readonly Change[]): void => {
      if (changes.length > 0) told.onChange(changes);
    };
    const relist = (): void => {
      this.#withDeadline<{ readonly revision: number; readonly entries: readonly Entry[] }>(
        (member, answer) => this.#cluster.list(node, member, prefix, answer),
        (listing) => {
          if (listing === undefined) {
            lose();
            node.after(fullJitterMs(attempts++, { baseMs: 200, capMs: 5_000 }, fork), relist);
            return;
          }
          attempts = 0;
          tell(mirror.reset(listing));
          regain();
          if (!isReady) told.onReady();
          isReady = true;
          this.watch(prefix, listing.revision + 1, fork.fork(String(listing.revision)), take);
        },
      );
    };
    const take = (notice: WatchNotice): void => {
      switch (notice.kind) {
        case "events":
          tell(mirror.apply(notice.events));
          return;
        case "progress":
          mirror.advance(notice.revision);
          return;
        case "compacted":
          lose();
          relist();
          return;
        case "interrupted":
          lose();
          return;
        case "resumed":
          regain();
          return;
        default:
          assertNever(notice);
      }
    };
    relist();
    return { entries: mirror.entries, revision: () => mirror.revision, state: () => state };
  }

  /** Runs the real watch engine; mirrors the shell's EtcdWatch. */
  watch(prefix: string, from: number, random: Random, notify: (n: WatchNotice) => void): void {
    const { node } = this;
    const engine = new WatchEngine({ from, endpoints: this.#members.length, random });
    let close: (() => void) | undefined;
    let timer: Timer | undefined;

    const step = (input: WatchInput): void => {
      for (const command of engine.step(input, node.now())) carryOut(command);
      node.cancel(timer);
      if (engine.wakeAt !== undefined) timer = node.at(engine.wakeAt, () => step({ kind: "tick" }));
    };
    const carryOut = (command: WatchCommand): void => {
      const member = "endpoint" in command ? this.#members[command.endpoint] : undefined;
      switch (command.kind) {
        case "open": {
          const { stream } = command;
          if (member === undefined) return;
          const what = { prefix, from: command.from };
          close = this.#cluster.watch(node, member, what, {
            message: (response) => step({ kind: "response", stream, response }),
            failed: (message) => step({ kind: "failed", stream, message }),
          });
          return;
        }
        case "close":
          close?.();
          close = undefined;
          return;
        case "probe": {
          const { probe } = command;
          if (member === undefined) return;
          // The engine has a deadline of its own.
          this.#cluster.probe(node, member, prefix, (result) =>
            step({ kind: "probed", probe, result }),
          );
          return;
        }
        case "notify":
          notify(command.notice);
          return;
        case "state":
          return;
        default:
          assertNever(command);
      }
    };
    step({ kind: "start" });
  }

  /** Grants a lease and keeps it by the real engine. `lost`: nobody may act on it any more. */
  lease(
    ttlMs: number,
    told: { readonly granted: (id: number) => void; readonly lost: () => void },
  ): void {
    const id = this.#cluster.newLeaseId();
    const sentAt = this.node.now();
    this.commit({ kind: "grant", lease: id, ttlMs }, (applied) => {
      if (applied === undefined) {
        told.lost();
        return;
      }
      this.#keepLease({ id, ttlMs, sentAt }, told.lost);
      told.granted(id);
    });
  }

  #keepLease(
    { id, ttlMs, sentAt }: { readonly id: number; readonly ttlMs: number; readonly sentAt: number },
    lost: () => void,
  ): void {
    const { node } = this;
    const engine = new LeaseEngine({
      ttlMs,
      sentAt,
      electionTimeoutMs: raftTimes.electionMs,
      endpoints: this.#members.length,
      random: this.random.fork(`lease ${id}`),
    });
    let open: { readonly stream: number; readonly member: Member } | undefined;
    let timer: Timer | undefined;
    const step = (input: Parameters<LeaseEngine["step"]>[0]): void => {
      for (const command of engine.step(input, node.now())) carryOut(command);
      node.cancel(timer);
      if (engine.wakeAt !== undefined) timer = node.at(engine.wakeAt, () => step({ kind: "tick" }));
    };
    const carryOut = (command: LeaseCommand): void => {
      switch (command.kind) {
        case "open": {
          const member = this.#members[command.endpoint];
          if (member !== undefined) open = { stream: command.stream, member };
          return;
        }
        case "keepalive":
          if (open === undefined) return;
          this.#cluster.keepAlive(node, open.member, id, (left) =>
            step({ kind: "acked", stream: command.stream, ttlMs: left }),
          );
          return;
        case "close":
          open = undefined;
          return;
        case "lost":
          lost();
          return;
        case "revoke":
          this.commit({ kind: "revoke", lease: id }, () => undefined);
          return;
        default:
          assertNever(command);
      }
    };
    step({ kind: "start" });
  }

  /** One member, and where it does not answer in time the next one at the next call. */
  #withDeadline<T>(
    ask: (member: Member, answer: (value: T) => void) => void,
    done: (value: T | undefined) => void,
  ): void {
    const { node } = this;
    const endpoint = this.#order.choose(node.now());
    const member = this.#members[endpoint];
    if (member === undefined) return;
    const timer = node.after(callDeadlineMs, () => {
      this.#order.failed(endpoint, node.now());
      finish(undefined);
    });
    let isDone = false;
    const finish = (value: T | undefined): void => {
      if (isDone) return;
      isDone = true;
      node.cancel(timer);
      done(value);
    };
    ask(member, (value) => {
      this.#order.succeeded(endpoint);
      finish(value);
    });
  }
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** undefined: it is no JSON. */
export function decodeJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
