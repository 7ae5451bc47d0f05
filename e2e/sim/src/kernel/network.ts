// The network between places: one-way delays with jitter, links that are cut in one or both directions, connections that
// keep the order of what they carry. What is lost is lost without a word: only time-outs tell.

import type { Random } from "@meridian/proto/base";
import { normal } from "./draws.ts";
import type { Timeline } from "./timeline.ts";

export type LinkDelay = {
  /** One way, the most common value. */
  readonly medianMs: number;
  /** Spread of the log-normal jitter; 0: none. */
  readonly sigma: number;
};

type Link = { delay: LinkDelay; isCut: boolean; lossShare: number };

/** Within a place. */
const nearby: LinkDelay = { medianMs: 0.3, sigma: 0.1 };

export class Network {
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #links = new Map<string, Map<string, Link>>();

  constructor(timeline: Timeline, random: Random) {
    this.#timeline = timeline;
    this.#random = random.fork("network");
  }

  /** Both directions, each half of the round trip. */
  connect(a: string, b: string, rttMs: number, sigma = 0.05): void {
    this.link(a, b).delay = { medianMs: rttMs / 2, sigma };
    this.link(b, a).delay = { medianMs: rttMs / 2, sigma };
  }

  /** One direction; a pair that nobody connected is nearby. */
  link(from: string, to: string): Link {
    let row = this.#links.get(from);
    if (row === undefined) {
      row = new Map();
      this.#links.set(from, row);
    }
    let link = row.get(to);
    if (link === undefined) {
      link = { delay: nearby, isCut: false, lossShare: 0 };
      row.set(to, link);
    }
    return link;
  }

  cut(from: string, to: string): void {
    this.link(from, to).isCut = true;
  }

  mend(from: string, to: string): void {
    this.link(from, to).isCut = false;
  }

  isCut(from: string, to: string): boolean {
    return this.link(from, to).isCut;
  }

  /** A draw of the one-way delay. */
  delayMs(from: string, to: string): number {
    const { delay } = this.link(from, to);
    return delay.sigma === 0
      ? delay.medianMs
      : delay.medianMs * Math.exp(delay.sigma * normal(this.#random));
  }

  /** One message on its own. false: it is lost, and nobody is told but the caller's checkers. */
  send(from: string, to: string, deliver: () => void): boolean {
    const link = this.link(from, to);
    if (link.isCut) return false;
    if (link.lossShare > 0 && this.#random.next() < link.lossShare) return false;
    this.#timeline.after(this.delayMs(from, to), deliver);
    return true;
  }
}
