// The model store: five members over the regions, as the reference places them, and the calls of their clients.

import type { Listing, ProbeResult, WatchResponse } from "@meridian/control-core/watch";
import type { Random } from "@meridian/proto/base";
import { Connection } from "../net/connection.ts";
import type { Net } from "../net/net.ts";
import type { SimNode } from "../net/node.ts";
import { Member, type MemberQuestion } from "./member.ts";
import type { Applied, LogCommand } from "./raft-messages.ts";

export class StoreCluster {
  readonly members: readonly Member[];
  readonly #net: Net;
  #leases = 1_000;

  /** `regions`: of each member; one region may have several. */
  constructor(net: Net, regions: readonly string[], random: Random) {
    this.#net = net;
    const nodes = regions.map((region, at) => net.addNode(`etcd-${at}`, region));
    this.members = nodes.map(
      (node, id): Member =>
        new Member({
          id,
          members: nodes.length,
          node,
          random: random.fork(node.name),
          toMember: (to, message) => this.#between(id, to, (member) => member.hear(message)),
          ask: (to, question) => this.#ask(id, to, question),
        }),
    );
    for (const member of this.members) member.start();
  }

  leader(): Member | undefined {
    const leaders = this.members.filter((each) => each.node.isUp && each.raft.role === "leader");
    return leaders.sort((a, b) => b.raft.term - a.raft.term)[0];
  }

  /** Members by distance from a region: the order in which a client there prefers them. */
  nearest(region: string): readonly Member[] {
    const { network } = this.#net;
    const distance = (member: Member): number =>
      network.link(region, member.node.region).delay.medianMs;
    return [...this.members].sort((a, b) => distance(a) - distance(b));
  }

  /** Never answers where the store can't: the caller has a deadline. */
  commit(from: SimNode, member: Member, command: LogCommand, done: (a: Applied) => void): void {
    this.#call(from, member, (answer) =>
      member.commit(command, (applied) => answer(() => done(applied))),
    );
  }

  list(from: SimNode, member: Member, prefix: string, done: (listing: Listing) => void): void {
    this.#call(from, member, (answer) =>
      member.list(prefix, (listing) => answer(() => done(listing))),
    );
  }

  probe(from: SimNode, member: Member, prefix: string, done: (r: ProbeResult) => void): void {
    this.#call(from, member, (answer) =>
      member.probe(prefix, (result) => answer(() => done(result))),
    );
  }

  keepAlive(from: SimNode, member: Member, lease: number, done: (ttlMs: number) => void): void {
    this.#call(from, member, (answer) => member.keepAlive(lease, (ttl) => answer(() => done(ttl))));
  }

  newLeaseId(): number {
    this.#leases += 1;
    return this.#leases;
  }

  /** Returned: the caller closes its end. */
  watch(
    from: SimNode,
    member: Member,
    what: { readonly prefix: string; readonly from: number },
    heard: {
      readonly message: (response: WatchResponse) => void;
      readonly failed: (reason: string) => void;
    },
  ): () => void {
    if (!member.node.isUp) {
      // Nobody listens there: refused after a round trip where a host is left to say so; else the deadline tells.
      this.#net.timeline.after(1, () => heard.failed("connection refused"));
      return () => undefined;
    }
    let end: (() => void) | undefined;
    const connection = new Connection(
      this.#net,
      { near: from, far: member.node },
      { near: heard.failed, far: () => end?.() },
    );
    connection.send("near", () => {
      end = member.watch(what.prefix, what.from, {
        message: (response) => connection.send("far", () => heard.message(response)),
        failed: (reason) => connection.close("far", reason),
      });
    });
    return () => connection.close("near");
  }

  #call(from: SimNode, member: Member, run: (answer: (deliver: () => void) => void) => void): void {
    const { life } = from;
    this.#net.send(from, member.node, () =>
      run((deliver) =>
        this.#net.send(member.node, from, () => {
          // Who asked may have died meanwhile; its next life has not asked.
          if (from.life === life) deliver();
        }),
      ),
    );
  }

  #between(from: number, to: number, run: (member: Member) => void): void {
    const sender = this.members[from];
    const receiver = this.members[to];
    if (sender === undefined || receiver === undefined) return;
    this.#net.send(sender.node, receiver.node, () => run(receiver));
  }

  /** The answer goes the same way back. */
  #ask(from: number, to: number, question: MemberQuestion): void {
    const back = (run: () => void): void => this.#between(to, from, run);
    this.#between(from, to, (leader) => {
      switch (question.kind) {
        case "propose":
          leader.answer({
            ...question,
            done: (applied: Applied) => back(() => question.done(applied)),
          });
          return;
        case "read":
          leader.answer({
            ...question,
            confirmed: (upTo: number) => back(() => question.confirmed(upTo)),
          });
          return;
        case "keep-alive":
          leader.answer({ ...question, done: (ttlMs: number) => back(() => question.done(ttlMs)) });
      }
    });
  }
}
