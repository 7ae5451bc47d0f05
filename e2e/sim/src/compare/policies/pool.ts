// The replicas that one load balancer pushes to, what it has pushed to each, and which beginnings each was sent.

import type { Arena, Ask, Replica } from "../arena/arena.ts";
import { bitsOf, type Match, PrefixMemory } from "../arena/prefix-memory.ts";

/** Up to here a beginning that was seen counts for nothing (SkyWalker and SGLang's router alike). */
const matchRateLeast = 0.5;

export class Pool {
  readonly replicas: readonly Replica[];
  /** Of this load balancer's own pushes those that have not ended, by the replica's place in the pool. */
  readonly outstanding: number[];
  readonly prefixes = new PrefixMemory();
  readonly #arena: Arena;
  readonly #at: number;

  constructor(arena: Arena, at: number, replicas: readonly Replica[]) {
    this.#arena = arena;
    this.#at = at;
    this.replicas = replicas;
    this.outstanding = replicas.map(() => 0);
  }

  push(
    ask: Ask,
    place: number,
    heard: { readonly first?: () => void; readonly ended?: () => void } = {},
  ): void {
    const replica = this.replicas[place];
    if (replica === undefined) throw new Error(`there is no replica ${place}`);
    this.#add(place, 1);
    this.prefixes.learn(ask.step.blocks, place);
    const ended = (): void => {
      this.#add(place, -1);
      heard.ended?.();
    };
    const { first } = heard;
    this.#arena.push(ask, replica, this.#at, first === undefined ? { ended } : { first, ended });
  }

  /** The place with the least of something; of equals one by chance. -1: there is none. */
  least(places: readonly number[], cost: (place: number) => number): number {
    let best = -1;
    let leastCost = Number.POSITIVE_INFINITY;
    let equals = 0;
    for (const place of places) {
      const own = cost(place);
      if (own > leastCost) continue;
      equals = own === leastCost ? equals + 1 : 1;
      if (equals === 1 || this.#arena.random.integer(equals) === 0) best = place;
      leastCost = own;
    }
    return best;
  }

  leastOutstanding(places: readonly number[]): number {
    return this.least(places, (place) => this.outstanding[place] ?? 0);
  }

  match(ask: Ask, places: readonly number[]): Match {
    return this.prefixes.match(ask.step.blocks, bitsOf(places));
  }

  /** Who has seen most of the beginning, if that is more than half of the prompt; else who has least to do. */
  byPrefix(ask: Ask, places: readonly number[]): number {
    const match = this.match(ask, places);
    return this.leastOutstanding(match.rate > matchRateLeast ? match.targets : places);
  }

  places(): readonly number[] {
    return this.replicas.map((_, place) => place);
  }

  #add(place: number, change: number): void {
    this.outstanding[place] = (this.outstanding[place] ?? 0) + change;
  }
}
