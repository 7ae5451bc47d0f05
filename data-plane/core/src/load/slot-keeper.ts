// Who owns which slot of the load table. A slot belongs to one id and gets another owner only when no thread can count
// on it any more: every thread has left the policy that named the id, and nothing that it started is in flight.

import type { LoadTable } from "./load-table.ts";

/**
 * Gives targets their slots while a policy is prepared: `claim` each, then `commit` or `abort`. The shared table's
 * keeper is one of these, and so is a listener thread's list of what the keeper gave.
 */
export type Slots = {
  /** The slot of an id in the policy that is being prepared; undefined: there is no room. */
  readonly claim: (id: string) => number | undefined;
  /** The prepared policy is in force. Slots whose owner is another one now: what is kept by slot is not true of them. */
  readonly commit: () => readonly number[];
  /** It is not going to be in force. */
  readonly abort: () => void;
};

type Holder = { readonly slot: number; leaves: "no" | "unacknowledged" | "acknowledged" };

/**
 * The one who decides. With `shared`, other threads count on slots too: after each `commit` the caller tells
 * `acknowledged` when all of them are on the new policy, and begins no other preparation before.
 *
 * @example const slot = keeper.claim("backend/us-a"); keeper.commit();
 */
export class SlotKeeper implements Slots {
  readonly #load: LoadTable;
  readonly #shared: boolean;
  readonly #holders = new Map<string, Holder>();
  readonly #free: number[];
  readonly #claims = new Map<string, number>();
  #fresh: number[] = [];

  constructor(load: LoadTable, { shared = false }: { readonly shared?: boolean } = {}) {
    this.#load = load;
    this.#shared = shared;
    this.#free = Array.from({ length: load.slots }, (_, place) => load.slots - 1 - place);
  }

  claim(id: string): number | undefined {
    const claimed = this.#claims.get(id) ?? this.#holders.get(id)?.slot ?? this.#takeFree();
    if (claimed !== undefined) this.#claims.set(id, claimed);
    return claimed;
  }

  /** What was claimed so far, for the other threads. */
  claims(): ReadonlyMap<string, number> {
    return new Map(this.#claims);
  }

  /** Of the claims, the slots that had no owner. */
  fresh(): readonly number[] {
    return this.#fresh;
  }

  commit(): readonly number[] {
    for (const [id, holder] of this.#holders) {
      if (this.#claims.has(id)) continue;
      if (holder.leaves === "no") holder.leaves = this.#shared ? "unacknowledged" : "acknowledged";
    }
    for (const [id, slot] of this.#claims) this.#holders.set(id, { slot, leaves: "no" });
    this.#claims.clear();
    const fresh = this.#fresh;
    this.#fresh = [];
    this.#sweep();
    return fresh;
  }

  abort(): void {
    this.#claims.clear();
    this.#free.push(...this.#fresh);
    this.#fresh = [];
  }

  /** Every other thread serves by the policy that was committed last, and starts nothing on what it no longer names. */
  acknowledged(): void {
    for (const holder of this.#holders.values()) {
      if (holder.leaves === "unacknowledged") holder.leaves = "acknowledged";
    }
    this.#sweep();
  }

  #takeFree(): number | undefined {
    if (this.#free.length === 0) this.#sweep();
    const slot = this.#free.pop();
    if (slot === undefined) return undefined;
    this.#load.clear(slot);
    this.#fresh.push(slot);
    return slot;
  }

  #sweep(): void {
    for (const [id, { leaves, slot }] of this.#holders) {
      if (leaves !== "acknowledged" || this.#claims.has(id)) continue;
      if (this.#load.inFlight(slot) > 0) continue;
      this.#holders.delete(id);
      this.#free.push(slot);
    }
  }
}

/** A listener thread's slots: what the keeper on the main thread gave for the policy at hand. */
export class GivenSlots implements Slots {
  #claims: ReadonlyMap<string, number> = new Map();
  #fresh: readonly number[] = [];

  give(claims: ReadonlyMap<string, number>, fresh: readonly number[]): void {
    this.#claims = claims;
    this.#fresh = fresh;
  }

  claim(id: string): number | undefined {
    return this.#claims.get(id);
  }

  commit(): readonly number[] {
    return this.#fresh;
  }

  abort(): void {
    this.give(new Map(), []);
  }
}
