// Leases of the embedded store. Holder and store are one process, so a lease lives until it is released, unless the
// process slept through it: then a supervisor may have started another, and what the lease promised is not true.

import { randomUUID } from "node:crypto";
import type { Instant } from "@meridian/proto/base";
import type { Lease, LeaseId } from "./store.ts";

export type EmbeddedLeasesOptions = {
  readonly now: () => Instant;
  /** Lets go of the lease's keys. */
  readonly expire: (lease: LeaseId) => void;
};

type Held = {
  readonly ttlMs: number;
  readonly timer: NodeJS.Timeout;
  readonly lost: AbortController;
  beatAt: Instant;
};

export class EmbeddedLeases {
  readonly #options: EmbeddedLeasesOptions;
  readonly #held = new Map<LeaseId, Held>();

  constructor(options: EmbeddedLeasesOptions) {
    this.#options = options;
  }

  has(id: LeaseId): boolean {
    const held = this.#held.get(id);
    return held !== undefined && this.#options.now() - held.beatAt < held.ttlMs;
  }

  grant(ttlMs: number): Lease {
    const id = randomUUID();
    const lost = new AbortController();
    const timer = setInterval(() => this.#beat(id), ttlMs / 3);
    this.#held.set(id, { ttlMs, timer, lost, beatAt: this.#options.now() });
    return { id, lost: lost.signal, release: async () => this.#end(id) };
  }

  close(): void {
    for (const id of [...this.#held.keys()]) this.#end(id);
  }

  #beat(id: LeaseId): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    if (this.has(id)) {
      held.beatAt = this.#options.now();
      return;
    }
    // Told first: nobody acts on the lease any more when its keys go.
    held.lost.abort(new Error("the process slept for longer than the lease lives"));
    this.#end(id);
  }

  #end(id: LeaseId): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    clearInterval(held.timer);
    this.#held.delete(id);
    this.#options.expire(id);
  }
}
