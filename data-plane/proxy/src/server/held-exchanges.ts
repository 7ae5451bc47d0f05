// Requests that wait at this thread for a place. The engine knows who is next; here it is found and told.

import type { Attempts } from "@meridian/data-core/attempt";
import type { Engine } from "@meridian/data-core/engine";

/** Something that waits for room. */
export type Waiter = { readonly room: () => void };

export class HeldExchanges {
  readonly #engine: Pick<Engine, "takeRoom">;
  /** Who has ever waited; what is over is forgotten by itself. */
  readonly #waiters = new WeakMap<Attempts, Waiter>();
  readonly #begins: () => void;
  #isWaking = false;

  /** `begins`: told whenever one more request waits. */
  constructor(engine: Pick<Engine, "takeRoom">, begins: () => void) {
    this.#engine = engine;
    this.#begins = begins;
  }

  add(attempts: Attempts, waiter: Waiter): void {
    this.#waiters.set(attempts, waiter);
    this.#begins();
  }

  /** After each step of any request: tells those whose turn it is. What follows from that tells no one by itself. */
  wake(): void {
    if (this.#isWaking) return;
    let next = this.#engine.takeRoom();
    if (next === undefined) return;
    this.#isWaking = true;
    try {
      for (; next !== undefined; next = this.#engine.takeRoom()) this.#waiters.get(next)?.room();
    } finally {
      this.#isWaking = false;
    }
  }
}
