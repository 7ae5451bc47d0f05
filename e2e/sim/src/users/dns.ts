// GeoDNS: an authority that answers with the nearest region that passes its health checks, and resolvers that keep answers
// for their time to live, or stubbornly longer. Source: reference multiregion 6.

import type { Instant, Random } from "@meridian/proto/base";
import type { Network } from "../kernel/network.ts";
import type { Timeline } from "../kernel/timeline.ts";
import type { Net } from "../net/net.ts";
import type { SimNode } from "../net/node.ts";

/** What the authority asks of a region: one answer of each of its proxies. */
export type ReadinessPorts = {
  readonly region: string;
  readonly proxies: readonly { readonly node: SimNode; readonly isReady: () => boolean }[];
};

/** As gdnsd is set up by the reference: asked each 5 s, down after three failures, up after three answers. */
const checkMs = 5_000;
const checkLimitMs = 2_000;
const failuresToDown = 3;
const answersToUp = 3;

type Health = { isUp: boolean; failures: number; answers: number };

export class GeoDns {
  readonly #net: Net;
  readonly #monitor: SimNode;
  readonly #health = new Map<string, Health>();

  /** The monitor stands at a place of its own, beside the network's regions. */
  constructor(net: Net, monitor: SimNode, regions: readonly ReadinessPorts[]) {
    this.#net = net;
    this.#monitor = monitor;
    for (const each of regions) {
      this.#health.set(each.region, { isUp: true, failures: 0, answers: 0 });
      monitor.every(checkMs, () => this.#check(each));
    }
  }

  isUp(region: string): boolean {
    return this.#health.get(region)?.isUp ?? false;
  }

  /** For a place: the nearest that is up. Where none is, the nearest: never an empty answer. */
  answer(place: string): string {
    const regions = [...this.#health.keys()].sort(
      (a, b) => distance(this.#net.network, place, a) - distance(this.#net.network, place, b),
    );
    return regions.find((each) => this.isUp(each)) ?? regions[0] ?? "";
  }

  /** Good if one proxy says in time that clients may be sent there. */
  #check({ region, proxies }: ReadinessPorts): void {
    let isReady = false;
    for (const { node, isReady: ask } of proxies) {
      this.#net.send(this.#monitor, node, () => {
        if (!ask()) return;
        this.#net.send(node, this.#monitor, () => {
          isReady = true;
        });
      });
    }
    this.#monitor.after(checkLimitMs, () => this.#note(region, isReady));
  }

  #note(region: string, isReady: boolean): void {
    const health = this.#health.get(region);
    if (health === undefined) return;
    health.answers = isReady ? health.answers + 1 : 0;
    health.failures = isReady ? 0 : health.failures + 1;
    if (health.failures >= failuresToDown) health.isUp = false;
    if (health.answers >= answersToUp) health.isUp = true;
  }
}

export class Resolver {
  readonly #timeline: Timeline;
  readonly #dns: GeoDns;
  readonly #place: string;
  readonly #ttlMs: number;
  #answer = "";
  #until: Instant = Number.NEGATIVE_INFINITY;

  constructor(
    timeline: Timeline,
    dns: GeoDns,
    at: { readonly place: string; readonly ttlMs: number },
  ) {
    this.#timeline = timeline;
    this.#dns = dns;
    this.#place = at.place;
    this.#ttlMs = at.ttlMs;
  }

  /** The region whose address is answered. */
  resolve(): string {
    if (this.#timeline.now >= this.#until) {
      this.#answer = this.#dns.answer(this.#place);
      this.#until = this.#timeline.now + this.#ttlMs;
    }
    return this.#answer;
  }
}

/** One in eight keeps answers ten times as long as it may. */
export function resolversAt(
  timeline: Timeline,
  dns: GeoDns,
  at: { readonly place: string; readonly ttlMs: number; readonly count: number },
  random: Random,
): readonly Resolver[] {
  return Array.from({ length: at.count }, (_, n) => {
    const stubborn = n % 8 === 7 ? 10 : 1;
    const ttlMs = at.ttlMs * stubborn * (0.9 + 0.2 * random.next());
    return new Resolver(timeline, dns, { place: at.place, ttlMs });
  });
}

function distance(network: Network, from: string, to: string): number {
  return network.link(from, to).delay.medianMs;
}
