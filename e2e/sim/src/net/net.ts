// Messages between nodes: over the network of their regions, and lost where a node is down, cut off, or has died since.

import type { Instant, Random } from "@meridian/proto/base";
import type { Network } from "../kernel/network.ts";
import type { Timeline } from "../kernel/timeline.ts";
import { type ClockSkew, SimNode } from "./node.ts";

export class Net {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly #random: Random;
  readonly #isolated = new Set<SimNode>();
  readonly #mended = new Set<() => void>();
  /** By `from>to` of regions, and by node. */
  readonly #cutSince = new Map<string | SimNode, Instant>();

  constructor(timeline: Timeline, network: Network, random: Random) {
    this.timeline = timeline;
    this.network = network;
    this.#random = random.fork("nodes");
  }

  /** Clocks begin anywhere and drift by up to 50 parts in a million, as quartz does; walls agree to some milliseconds. */
  addNode(name: string, region: string, skew: Partial<ClockSkew> = {}): SimNode {
    const random = this.#random.fork(name);
    const usual = {
      originMs: Math.floor(random.next() * 1e7),
      rate: 1 + (random.next() - 0.5) * 1e-4,
      wallMs: Math.round((random.next() - 0.5) * 10),
    };
    return new SimNode(this.timeline, { name, region }, { ...usual, ...skew });
  }

  /** Nothing reaches the node or leaves it, its own region included. */
  isolate(node: SimNode): void {
    this.#isolated.add(node);
    this.#cutSince.set(node, this.timeline.now);
  }

  rejoin(node: SimNode): void {
    this.#isolated.delete(node);
    this.#tellMended();
  }

  /** One direction between two regions. */
  cut(from: string, to: string): void {
    this.network.cut(from, to);
    this.#cutSince.set(`${from}>${to}`, this.timeline.now);
  }

  mend(from: string, to: string): void {
    this.network.mend(from, to);
    this.#tellMended();
  }

  isCut(from: SimNode, to: SimNode): boolean {
    if (this.#isolated.size > 0 && (this.#isolated.has(from) || this.#isolated.has(to)))
      return true;
    return this.network.isCut(from.region, to.region);
  }

  /** When a way that is cut was cut. */
  cutSince(from: SimNode, to: SimNode): Instant {
    const marks = [from, to, `${from.region}>${to.region}`].map((each) => this.#cutSince.get(each));
    return Math.max(...marks.map((each) => each ?? 0));
  }

  /** Finds out by a round trip whether somebody listens: `connected`, `refused`, or no answer at all. */
  dial(
    from: SimNode,
    to: SimNode,
    told: { readonly connected: () => void; readonly refused: () => void },
  ): void {
    if (!from.isUp || this.isCut(from, to)) return;
    const { life } = from;
    const there = this.network.delayMs(from.region, to.region);
    this.timeline.after(there, () => {
      if (!to.isHostUp || this.isCut(to, from)) return;
      const isHeard = to.isUp;
      this.timeline.after(this.network.delayMs(to.region, from.region), () => {
        if (!from.isUp || from.life !== life) return;
        if (isHeard) told.connected();
        else told.refused();
      });
    });
  }

  /** What waits for a way to be there again; returned: stop waiting. */
  onMended(run: () => void): () => void {
    this.#mended.add(run);
    return () => this.#mended.delete(run);
  }

  /** One message on its own: it comes or it is lost. */
  send(from: SimNode, to: SimNode, deliver: () => void): void {
    if (!from.isUp || this.isCut(from, to)) return;
    const { life } = to;
    this.timeline.after(this.network.delayMs(from.region, to.region), () => {
      if (to.isUp && to.life === life) deliver();
    });
  }

  #tellMended(): void {
    for (const run of [...this.#mended]) run();
  }
}
