// One member of the model store: Raft's part of it. Messages in, messages out; time by the member's own node.

import { assertNever, type Instant, type Random } from "@meridian/proto/base";
import type { SimNode } from "../net/node.ts";
import type { LogCommand, LogEntry, RaftMessage } from "./raft-messages.ts";

/** Source: reference multiregion 2.2, for round trips up to 210 ms. */
export const raftTimes = { heartbeatMs: 200, electionMs: 2_000 } as const;

export type RaftPorts = {
  readonly id: number;
  readonly members: number;
  readonly node: SimNode;
  readonly random: Random;
  readonly send: (to: number, message: RaftMessage) => void;
  /** Time of one write to the member's disk. */
  readonly diskMs: () => number;
  /** Entries up to here are committed; told in order, and again after a restart. */
  readonly committed: (upTo: number) => void;
  readonly roleChanged: (role: Role) => void;
};

export type Role = "follower" | "candidate" | "leader";

type Follower = { matched: number; heardAt: Instant; round: number };

/** Survives a crash: what is on the disk. */
type Disk = { term: number; votedFor: number | undefined; readonly log: LogEntry[] };

export class Raft {
  readonly #ports: RaftPorts;
  readonly #disk: Disk = { term: 0, votedFor: undefined, log: [] };
  role: Role = "follower";
  leader: number | undefined;
  committed = 0;
  #heardAt: Instant = Number.NEGATIVE_INFINITY;
  #electAt: Instant = 0;
  #votes = new Set<number>();
  #isTrial = true;
  #followers = new Map<number, Follower>();
  #round = 0;
  /** Reads that wait until a quorum has answered a round. */
  #reads: { readonly round: number; readonly upTo: number; readonly confirmed: () => void }[] = [];

  constructor(ports: RaftPorts) {
    this.#ports = ports;
  }

  /** At the start of each life of the node. */
  start(): void {
    this.role = "follower";
    this.leader = undefined;
    this.committed = 0;
    this.#reads = [];
    this.#rest();
    this.#ports.node.every(raftTimes.heartbeatMs / 2, () => this.#tick());
  }

  get log(): readonly LogEntry[] {
    return this.#disk.log;
  }

  get term(): number {
    return this.#disk.term;
  }

  /** A leader was heard of within an election's time. */
  hasLeader(): boolean {
    if (this.role === "leader") return true;
    const { node } = this.#ports;
    return this.leader !== undefined && node.now() - this.#heardAt < raftTimes.electionMs;
  }

  /** By a leader: number of the entry. */
  propose(command: LogCommand): number {
    this.#disk.log.push({ term: this.term, command });
    this.#sendAll();
    this.#afterDisk(() => this.#advance());
    return this.#disk.log.length;
  }

  /** By a leader: calls back when it is sure still to lead; nothing when it does not. */
  confirmRead(confirmed: (upTo: number) => void): void {
    if (this.role !== "leader") return;
    if (this.log[this.committed - 1]?.term !== this.term) {
      // Of what its predecessors committed a new leader is sure only once an entry of its own is committed.
      this.#ports.node.after(raftTimes.heartbeatMs / 4, () => this.confirmRead(confirmed));
      return;
    }
    this.#round += 1;
    const upTo = this.committed;
    this.#reads.push({ round: this.#round, upTo, confirmed: () => confirmed(upTo) });
    this.#sendAll();
  }

  hear(message: RaftMessage): void {
    if (message.term > this.term && !isTrial(message)) this.#follow(message.term, undefined);
    switch (message.kind) {
      case "append":
        this.#append(message);
        return;
      case "appended":
        this.#appended(message);
        return;
      case "ask-vote":
        this.#askedForVote(message);
        return;
      case "vote":
        this.#voted(message);
        return;
      default:
        assertNever(message);
    }
  }

  /** For the model's own: a leader gives way, as etcd's does when it is asked to move. */
  resign(): void {
    if (this.role === "leader") this.#follow(this.term, undefined);
  }

  #tick(): void {
    const { node } = this.#ports;
    const now = node.now();
    if (this.role !== "leader") {
      if (now >= this.#electAt) this.#canvass(true);
      return;
    }
    const alive = [...this.#followers.values()].filter(
      (each) => now - each.heardAt < raftTimes.electionMs,
    );
    if (alive.length + 1 < this.#quorum()) this.#follow(this.term, undefined);
    else this.#sendAll();
  }

  /** A trial first: who could not win must not disturb those who have a leader. */
  #canvass(trial: boolean): void {
    const { id } = this.#ports;
    this.#rest();
    this.#isTrial = trial;
    this.#votes = new Set([id]);
    this.leader = undefined;
    if (!trial) {
      this.#disk.term += 1;
      this.#disk.votedFor = id;
      this.#turn("candidate");
    }
    const { log, term } = this.#disk;
    this.#sendOthers({
      kind: "ask-vote",
      term: trial ? term + 1 : term,
      from: id,
      isTrial: trial,
      entries: log.length,
      lastTerm: log.at(-1)?.term ?? 0,
    });
    if (this.#quorum() === 1) this.#won();
  }

  #askedForVote(message: Extract<RaftMessage, { kind: "ask-vote" }>): void {
    const { id, send } = this.#ports;
    const { log, term, votedFor } = this.#disk;
    const lastTerm = log.at(-1)?.term ?? 0;
    const isAsNew =
      message.lastTerm > lastTerm ||
      (message.lastTerm === lastTerm && message.entries >= log.length);
    const isFree = message.isTrial
      ? message.term > term && !this.hasLeader()
      : message.term === term && (votedFor ?? message.from) === message.from;
    const isGiven = isAsNew && isFree;
    if (isGiven && !message.isTrial) {
      this.#disk.votedFor = message.from;
      this.#rest();
    }
    const answer = { kind: "vote", from: id, isTrial: message.isTrial, isGiven } as const;
    this.#afterDisk(() => send(message.from, { ...answer, term: message.term }));
  }

  #voted(message: Extract<RaftMessage, { kind: "vote" }>): void {
    const wanted = this.#isTrial ? this.term + 1 : this.term;
    if (!message.isGiven || message.isTrial !== this.#isTrial || message.term !== wanted) return;
    if (this.role === "leader" || (!this.#isTrial && this.role !== "candidate")) return;
    this.#votes.add(message.from);
    if (this.#votes.size >= this.#quorum()) this.#won();
  }

  #won(): void {
    if (this.#isTrial) {
      this.#canvass(false);
      return;
    }
    const { id, members, node } = this.#ports;
    this.leader = id;
    this.#followers = new Map();
    for (let other = 0; other < members; other++) {
      if (other !== id) this.#followers.set(other, { matched: 0, heardAt: node.now(), round: 0 });
    }
    this.#turn("leader");
    this.propose({ kind: "nothing" });
  }

  #append(message: Extract<RaftMessage, { kind: "append" }>): void {
    const { id, node, send } = this.#ports;
    if (message.term < this.term) {
      const { round } = message;
      send(message.leader, {
        kind: "appended",
        term: this.term,
        from: id,
        matched: undefined,
        round,
      });
      return;
    }
    this.#follow(message.term, message.leader);
    this.#heardAt = node.now();
    const matched = this.#take(message);
    const answer = () => {
      const { round } = message;
      send(message.leader, { kind: "appended", term: message.term, from: id, matched, round });
    };
    if (message.entries.length > 0) this.#afterDisk(answer);
    else answer();
    if (matched !== undefined) this.#commit(Math.min(message.committed, matched));
  }

  /** Entries that are the leader's; undefined: what was before does not fit. */
  #take(message: Extract<RaftMessage, { kind: "append" }>): number | undefined {
    const { log } = this.#disk;
    const { before, beforeTerm, entries } = message;
    if (before > log.length || (log[before - 1]?.term ?? 0) !== beforeTerm) return undefined;
    for (const [at, entry] of entries.entries()) {
      const held = log[before + at];
      if (held?.term === entry.term) continue;
      log.length = before + at;
      log.push(entry);
    }
    return before + entries.length;
  }

  #appended(message: Extract<RaftMessage, { kind: "appended" }>): void {
    const follower = this.#followers.get(message.from);
    if (this.role !== "leader" || message.term !== this.term || follower === undefined) return;
    follower.heardAt = this.#ports.node.now();
    follower.round = Math.max(follower.round, message.round);
    // Small logs: what does not fit is sent from the beginning.
    follower.matched = message.matched ?? 0;
    this.#advance();
    this.#answerReads();
  }

  #advance(): void {
    if (this.role !== "leader") return;
    const { log } = this.#disk;
    const ends = [log.length, ...[...this.#followers.values()].map((each) => each.matched)];
    const sure = ends.sort((a, b) => b - a)[this.#quorum() - 1] ?? 0;
    if (sure > this.committed && log[sure - 1]?.term === this.term) {
      this.#commit(sure);
      this.#sendAll();
    }
  }

  #answerReads(): void {
    const rounds = [this.#round, ...[...this.#followers.values()].map((each) => each.round)];
    const sure = rounds.sort((a, b) => b - a)[this.#quorum() - 1] ?? 0;
    const ready = this.#reads.filter((each) => each.round <= sure);
    this.#reads = this.#reads.filter((each) => each.round > sure);
    for (const read of ready) read.confirmed();
  }

  #commit(upTo: number): void {
    if (upTo <= this.committed) return;
    this.committed = upTo;
    this.#ports.committed(upTo);
  }

  #sendAll(): void {
    const { id, send } = this.#ports;
    const { log, term } = this.#disk;
    for (const [to, { matched }] of this.#followers) {
      send(to, {
        kind: "append",
        term,
        leader: id,
        before: matched,
        beforeTerm: log[matched - 1]?.term ?? 0,
        entries: log.slice(matched),
        committed: this.committed,
        round: this.#round,
      });
    }
  }

  #sendOthers(message: RaftMessage): void {
    const { id, members, send } = this.#ports;
    for (let to = 0; to < members; to++) if (to !== id) send(to, message);
  }

  #follow(term: number, leader: number | undefined): void {
    if (term > this.term) {
      this.#disk.term = term;
      this.#disk.votedFor = undefined;
    }
    this.leader = leader;
    this.#reads = [];
    this.#rest();
    this.#turn("follower");
  }

  #turn(role: Role): void {
    const former = this.role;
    this.role = role;
    if (former !== role) this.#ports.roleChanged(role);
  }

  /** Nobody asks for votes before a random time of silence. */
  #rest(): void {
    const { node, random } = this.#ports;
    this.#electAt = node.now() + raftTimes.electionMs * (1 + random.next());
  }

  #afterDisk(run: () => void): void {
    const { node, diskMs } = this.#ports;
    node.after(diskMs(), run);
  }

  #quorum(): number {
    return Math.floor(this.#ports.members / 2) + 1;
  }
}

function isTrial(message: RaftMessage): boolean {
  return (message.kind === "ask-vote" || message.kind === "vote") && message.isTrial;
}
