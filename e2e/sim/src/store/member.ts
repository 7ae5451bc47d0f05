// One member of the model store as clients see it: reads through a quorum, writes through the leader, watches with
// etcd's habits, leases. What it can't do now it does not answer: callers have deadlines.

import type { Listing, ProbeResult, WatchResponse } from "@meridian/control-core/watch";
import { ModelWatch } from "@meridian/control-core/watch-model";
import type { Random } from "@meridian/proto/base";
import type { SimNode } from "../net/node.ts";
import { Raft, type Role, raftTimes } from "./raft.ts";
import type { Applied, LogCommand, RaftMessage } from "./raft-messages.ts";
import { StateMachine } from "./state-machine.ts";

export type MemberPorts = {
  readonly id: number;
  readonly members: number;
  readonly node: SimNode;
  readonly random: Random;
  readonly toMember: (to: number, message: RaftMessage) => void;
  /** Asks another member; the answer comes by the callback or never. */
  readonly ask: (to: number, question: MemberQuestion) => void;
};

/** What one member asks of the leader for its client. */
export type MemberQuestion =
  | { readonly kind: "propose"; readonly command: LogCommand; readonly done: (a: Applied) => void }
  | { readonly kind: "read"; readonly confirmed: (upTo: number) => void }
  | { readonly kind: "keep-alive"; readonly lease: number; readonly done: (ttlMs: number) => void };

/** Where a watch's messages go; `failed` ends it. */
export type WatchSink = {
  readonly message: (response: WatchResponse) => void;
  readonly failed: (reason: string) => void;
};

type ServedWatch = { readonly watch: ModelWatch; readonly sink: WatchSink };

/** The server's progress notifications; source: reference 2.3. */
const progressMs = 5_000;
/** Revisions in a batch, as etcd's; events in a fragment: small, so that fragments are met. */
const batch = { batchRevisions: 1_000, fragmentEvents: 50 } as const;

export class Member {
  readonly node: SimNode;
  readonly raft: Raft;
  rows = new StateMachine();
  /** Milliseconds of a write to the disk. */
  diskMs = 2;
  /** Its part that applies stands still: it follows, answers nothing new, and says that all is well. */
  isStuck = false;
  readonly #ports: MemberPorts;
  #applied = 0;
  readonly #watches = new Set<ServedWatch>();
  #waiting: { readonly upTo: number; readonly run: () => void }[] = [];
  readonly #proposed = new Map<
    number,
    { readonly term: number; readonly done: (a: Applied) => void }
  >();
  /** As leader: when each lease ends. */
  readonly #leaseEnds = new Map<number, number>();

  constructor(ports: MemberPorts) {
    this.#ports = ports;
    this.node = ports.node;
    this.raft = new Raft({
      id: ports.id,
      members: ports.members,
      node: ports.node,
      random: ports.random,
      send: ports.toMember,
      diskMs: () => this.diskMs,
      committed: () => this.#apply(),
      roleChanged: (role) => this.#roleChanged(role),
    });
  }

  /** At the start of each life: what was applied is applied again from the disk's log. */
  start(): void {
    this.rows = new StateMachine();
    this.#applied = 0;
    this.#waiting = [];
    this.#watches.clear();
    this.#proposed.clear();
    this.#leaseEnds.clear();
    this.raft.start();
    this.node.every(progressMs, () => this.#notifyProgress());
    this.node.every(500, () => this.#tick());
  }

  commit(command: LogCommand, done: (applied: Applied) => void): void {
    this.#askLeader({ kind: "propose", command, done });
  }

  /** A linearizable read: through the leader, and not before this member has applied as much. */
  list(prefix: string, done: (listing: Listing) => void): void {
    this.#readIndex(() => done(this.rows.etcd.list(prefix)));
  }

  probe(prefix: string, done: (result: ProbeResult) => void): void {
    this.#readIndex(() => done(this.rows.etcd.probe(prefix)));
  }

  keepAlive(lease: number, done: (ttlMs: number) => void): void {
    this.#askLeader({ kind: "keep-alive", lease, done });
  }

  /** With `hasleader`: it fails when this member has lost its leader. Returned: end it. */
  watch(prefix: string, from: number, sink: WatchSink): () => void {
    const served = { watch: new ModelWatch(this.rows.etcd, { prefix, from, ...batch }), sink };
    this.#watches.add(served);
    served.watch.serve();
    if (from <= this.rows.etcd.revision) served.watch.serve();
    this.#flush(served);
    return () => this.#watches.delete(served);
  }

  /** A question of another member's client, or of its own. */
  answer(question: MemberQuestion): void {
    if (this.raft.role !== "leader") return;
    switch (question.kind) {
      case "propose": {
        const at = this.raft.propose(question.command);
        this.#proposed.set(at, { term: this.raft.term, done: question.done });
        return;
      }
      case "read":
        this.raft.confirmRead(question.confirmed);
        return;
      case "keep-alive":
        this.#keepLease(question.lease, question.done);
    }
  }

  hear(message: RaftMessage): void {
    this.raft.hear(message);
  }

  /** Goes on applying after a standstill. */
  unstick(): void {
    this.isStuck = false;
    this.#apply();
  }

  #askLeader(question: MemberQuestion): void {
    const { leader } = this.raft;
    if (leader === undefined) return;
    if (leader === this.#ports.id) this.answer(question);
    else this.#ports.ask(leader, question);
  }

  #readIndex(run: () => void): void {
    const { life } = this.node;
    const confirmed = (upTo: number): void => {
      if (this.node.life !== life) return;
      if (this.#applied >= upTo) run();
      else this.#waiting.push({ upTo, run });
    };
    this.#askLeader({ kind: "read", confirmed });
  }

  #apply(): void {
    if (this.isStuck) return;
    while (this.#applied < this.raft.committed) {
      const entry = this.raft.log[this.#applied];
      if (entry === undefined) break;
      this.#applied += 1;
      const before = this.rows.etcd.revision;
      const applied = this.rows.apply(entry.command);
      this.#noteLease(entry.command);
      const proposed = this.#proposed.get(this.#applied);
      this.#proposed.delete(this.#applied);
      if (proposed?.term === entry.term) proposed.done(applied);
      if (this.rows.etcd.revision > before) this.#feedWatches();
    }
    const ready = this.#waiting.filter((each) => each.upTo <= this.#applied);
    this.#waiting = this.#waiting.filter((each) => each.upTo > this.#applied);
    for (const read of ready) read.run();
  }

  #feedWatches(): void {
    for (const served of [...this.#watches]) {
      served.watch.serve();
      this.#flush(served);
    }
  }

  #flush(served: ServedWatch): void {
    for (const response of served.watch.underway.splice(0)) served.sink.message(response);
  }

  #notifyProgress(): void {
    for (const served of [...this.#watches]) {
      served.watch.serve();
      this.#flush(served);
    }
  }

  #tick(): void {
    if (!this.raft.hasLeader()) {
      const lost = [...this.#watches];
      this.#watches.clear();
      for (const { sink } of lost) sink.failed("etcdserver: no leader");
    }
    if (this.raft.role !== "leader") return;
    const now = this.node.now();
    for (const [lease, endsAt] of [...this.#leaseEnds]) {
      if (endsAt > now) continue;
      this.#leaseEnds.delete(lease);
      this.raft.propose({ kind: "revoke", lease });
    }
  }

  /** A new leader gives every lease its whole time again, and an election's beside. */
  #roleChanged(role: Role): void {
    this.#leaseEnds.clear();
    if (role !== "leader") return;
    const now = this.node.now();
    for (const [lease, { ttlMs }] of this.rows.leases) {
      this.#leaseEnds.set(lease, now + ttlMs + raftTimes.electionMs);
    }
  }

  #noteLease(command: LogCommand): void {
    if (command.kind === "revoke") this.#leaseEnds.delete(command.lease);
    if (command.kind === "grant" && this.raft.role === "leader") {
      this.#leaseEnds.set(command.lease, this.node.now() + command.ttlMs);
    }
  }

  #keepLease(lease: number, done: (ttlMs: number) => void): void {
    const held = this.rows.leases.get(lease);
    if (held === undefined) {
      done(0);
      return;
    }
    this.#leaseEnds.set(lease, this.node.now() + held.ttlMs);
    done(held.ttlMs);
  }
}
