// A connection between two nodes, as TCP gives one: what is sent comes once and in order, held back while the way is cut,
// or the connection ends. An end is told to the other side where the way and the host allow; else only time-outs tell.

import type { Instant } from "@meridian/proto/base";
import type { Net } from "./net.ts";
import type { SimNode } from "./node.ts";

export type ConnectionEnds = {
  readonly near: SimNode;
  readonly far: SimNode;
};

/** What a side hears of the connection's end; its own `close` is not told to it. */
export type ClosedListeners = {
  readonly near: (reason: string) => void;
  readonly far: (reason: string) => void;
};

/** Held back beyond this the sender's TCP gives up; Linux does after about fifteen retransmissions, services sooner. */
const giveUpMs = 60_000;

type Lane = {
  readonly from: SimNode;
  readonly to: SimNode;
  /** Of the receiver when the connection was made. */
  readonly life: number;
  lastAt: Instant;
  /** Waiting for the way to be mended, with the instant of the oldest. */
  held: (() => void)[];
  heldSince: Instant;
};

export class Connection {
  readonly #net: Net;
  readonly #lanes: { readonly near: Lane; readonly far: Lane };
  readonly #listeners: ClosedListeners;
  /** By side: no more is delivered to it, and it hears nothing more. */
  readonly #ended = { near: false, far: false };
  #stopWaiting: (() => void) | undefined;
  readonly #forget: readonly (() => void)[];

  /** Both nodes must be up; who dials has found that out. */
  constructor(net: Net, ends: ConnectionEnds, listeners: ClosedListeners) {
    this.#net = net;
    this.#listeners = listeners;
    const lane = (from: SimNode, to: SimNode): Lane => ({
      from,
      to,
      life: to.life,
      lastAt: 0,
      held: [],
      heldSince: 0,
    });
    this.#lanes = { near: lane(ends.near, ends.far), far: lane(ends.far, ends.near) };
    this.#forget = (["near", "far"] as const).map((side) =>
      this.#lanes[side].from.onDeath((byHost) => this.#died(side, byHost)),
    );
  }

  get isOpen(): boolean {
    return !this.#ended.near && !this.#ended.far;
  }

  /** From one side to the other. On a connection that has ended nothing happens. */
  send(side: "near" | "far", deliver: () => void): void {
    if (this.#ended[side]) return;
    this.#transmit(side, () => {
      if (!this.#ended[other(side)]) deliver();
      else this.#transmit(other(side), () => this.#hear(side, "reset by the other side"));
    });
  }

  /** This side is done: it hears nothing more, the other is told. */
  close(side: "near" | "far", reason = "closed by the other side"): void {
    if (this.#ended[side]) return;
    this.#ended[side] = true;
    this.#transmit(side, () => this.#hear(other(side), reason));
    if (this.#ended[other(side)]) this.#release();
  }

  #transmit(side: "near" | "far", deliver: () => void): void {
    const lane = this.#lanes[side];
    const { network, timeline } = this.#net;
    if (this.#net.isCut(lane.from, lane.to)) {
      this.#hold(side, lane, deliver);
      return;
    }
    const at = timeline.now + network.delayMs(lane.from.region, lane.to.region);
    lane.lastAt = Math.max(at, lane.lastAt);
    timeline.at(lane.lastAt, () => {
      if (!lane.to.isUp) return;
      if (lane.to.life === lane.life) deliver();
      else this.#hear(side, "reset by the other side");
    });
  }

  #hold(side: "near" | "far", lane: Lane, deliver: () => void): void {
    const { timeline } = this.#net;
    if (lane.held.length === 0) {
      lane.heldSince = timeline.now;
      const since = timeline.now;
      timeline.after(giveUpMs, () => {
        if (lane.held.length > 0 && lane.heldSince === since) this.#hear(side, "no way there");
      });
    }
    lane.held.push(deliver);
    this.#stopWaiting ??= this.#net.onMended(() => this.#flush());
  }

  #flush(): void {
    for (const side of ["near", "far"] as const) {
      const lane = this.#lanes[side];
      if (lane.held.length === 0 || this.#net.isCut(lane.from, lane.to)) continue;
      const held = lane.held;
      lane.held = [];
      for (const deliver of held) this.#transmit(side, deliver);
    }
    if (this.#lanes.near.held.length + this.#lanes.far.held.length > 0) return;
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
  }

  #died(side: "near" | "far", byHost: boolean): void {
    this.#ended[side] = true;
    // A dead host says nothing, and what it had sent already is on its way.
    if (byHost) return;
    this.#transmit(side, () => this.#hear(other(side), "reset by the other side"));
  }

  #hear(side: "near" | "far", reason: string): void {
    if (this.#ended[side]) return;
    this.#ended[side] = true;
    this.#listeners[side](reason);
    this.#release();
  }

  #release(): void {
    for (const forget of this.#forget) forget();
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
    this.#lanes.near.held = [];
    this.#lanes.far.held = [];
  }
}

function other(side: "near" | "far"): "near" | "far" {
  return side === "near" ? "far" : "near";
}
