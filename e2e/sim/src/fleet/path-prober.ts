// Tries the ways to the other regions for one simulated proxy, by the real plan: asks how they
// stand. Mirrors the shell's synthetic requests.

import { PathPlan, pathLimitMs, type RegionPaths } from "@meridian/data-core/locality";
import type { Random } from "@meridian/proto/base";
import type { Net } from "../net/net.ts";
import type { SimNode } from "../net/node.ts";
import type { SimProxy } from "./proxy.ts";

export type PathProberPorts = {
  readonly net: Net;
  readonly node: SimNode;
  readonly random: Random;
  readonly paths: RegionPaths;
  /** Another region's proxies. */
  readonly proxiesOf: (region: string) => readonly SimProxy[];
  readonly siblings: () => readonly string[];
};

/** A quarter of the time between two questions: the shell looks more often, to the same effect. */
const tickMs = 500;

export class PathProber {
  readonly #ports: PathProberPorts;
  readonly #plan: PathPlan;

  constructor(ports: PathProberPorts) {
    this.#ports = ports;
    this.#plan = new PathPlan(ports.random, ports.node.name);
    ports.node.every(tickMs, () => this.#tick());
  }

  arrange(regions: readonly string[]): void {
    this.#plan.arrange(regions, this.#ports.node.now());
  }

  #tick(): void {
    const { node, siblings } = this.#ports;
    for (const due of this.#plan.due(siblings, node.now())) {
      const ended = (): void => this.#plan.ended(due);
      // What a request of one token shows goes into metrics alone.
      if (due.kind === "inference") ended();
      else this.#ask(due.region, pathLimitMs[due.kind], ended);
    }
  }

  #ask(region: string, limitMs: number, ended: () => void): void {
    const { net, node, paths, proxiesOf, random } = this.#ports;
    const proxies = proxiesOf(region);
    const peer = proxies[random.integer(Math.max(1, proxies.length))];
    const sentAt = node.now();
    let isDone = false;
    const fail = (): void => {
      if (isDone) return;
      isDone = true;
      paths.noteFailure(region, node.now());
      ended();
    };
    node.after(limitMs, fail);
    if (peer === undefined) return;
    net.dial(node, peer.node, {
      refused: fail,
      connected: () => {
        if (isDone || !peer.node.isUp) return;
        isDone = true;
        const now = node.now();
        paths.noteRtt(region, now - sentAt, now);
        const told = peer.engine.outlooks(peer.node.now());
        for (const pool of told) paths.notePool(region, pool.model, pool, now);
        ended();
      },
    });
  }
}
