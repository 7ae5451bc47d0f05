// What a load balancer knows of replicas from their metrics: read every so often, seen as late as the way takes.

import type { Arena, Replica } from "./arena.ts";

/** As SkyWalker reads them, in ms (skypilot sky/serve/load_balancer.py, _IE_QUEUE_PROBE_INTERVAL). */
export const probeEveryMs = 100;

export type Reading = { readonly queued: number; readonly running: number };

const unread: Reading = { queued: 0, running: 0 };

/** The readings of one load balancer, by the replica's place. */
export class Probes {
  readonly #readings: Reading[] = [];

  constructor(arena: Arena, at: number, replicas: readonly Replica[], onRead?: () => void) {
    const read = (): void => {
      const byDelay = Map.groupBy(replicas, (each) => arena.oneWayMs(each.region, at));
      for (const [delayMs, group] of byDelay) {
        const readings = group.map(({ place, server }) => ({ place, ...server.metrics() }));
        arena.timeline.after(delayMs, () => {
          for (const { place, queued, running } of readings) {
            this.#readings[place] = { queued, running };
          }
          onRead?.();
        });
      }
    };
    // Load balancers do not read in step.
    arena.timeline.every(probeEveryMs, read, (at * probeEveryMs) / arena.layout.replicas.length);
  }

  of(replica: Replica): Reading {
    return this.#readings[replica.place] ?? unread;
  }

  /** Nobody waits there. */
  isFree(replica: Replica): boolean {
    return this.of(replica).queued === 0;
  }
}
