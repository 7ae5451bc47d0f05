// Selective pushing (SkyWalker, arXiv 2505.24095, as coded in skypilot sky/serve/load_balancer.py): a load balancer in
// every region holds requests until a replica has nobody waiting; other regions are asked when none at home is free.

import { assert } from "@meridian/proto/base";
import type { Arena, Ask, Policy } from "../arena/arena.ts";
import { bitsOf, PrefixMemory } from "../arena/prefix-memory.ts";
import { Probes, probeEveryMs } from "../arena/probes.ts";
import { Pool } from "./pool.ts";

/** SkyWalker's loop over its queue, in ms. */
const loopEveryMs = 10;

const matchRateLeast = 0.5;

type Waiting = { readonly ask: Ask; readonly since: number; readonly isForwarded: boolean };

type Rules = {
  /** A request waits so long at home before other regions are asked; Infinity: they never are. */
  readonly widenAfterMs: number;
};

/** One region's load balancer. */
class Balancer {
  readonly region: number;
  readonly #arena: Arena;
  readonly #rules: Rules;
  readonly #pool: Pool;
  readonly #probes: Probes;
  readonly #places: readonly number[];
  /** Which other load balancer was sent which beginnings. */
  readonly #sentTo = new PrefixMemory();
  /** Free regions as last heard. */
  readonly #freeRegions: boolean[];
  #queue: Waiting[] = [];
  #isLooping = false;
  #others: readonly Balancer[] = [];

  constructor(arena: Arena, region: number, rules: Rules) {
    this.region = region;
    this.#arena = arena;
    this.#rules = rules;
    this.#pool = new Pool(arena, region, arena.local[region] ?? []);
    this.#places = this.#pool.places();
    this.#freeRegions = arena.layout.replicas.map(() => true);
    this.#probes = new Probes(arena, region, this.#pool.replicas, () => this.#work());
  }

  meet(others: readonly Balancer[]): void {
    this.#others = others.filter((each) => each !== this);
    if (this.#rules.widenAfterMs === Number.POSITIVE_INFINITY) return;
    // Load balancers read each other as they read replicas.
    this.#arena.timeline.every(probeEveryMs, () => {
      const isFree = this.#freePlaces().length > 0;
      for (const other of this.#others) {
        this.#arena.timeline.after(this.#arena.oneWayMs(this.region, other.region), () =>
          other.#hear(this.region, isFree),
        );
      }
    });
  }

  take(ask: Ask, isForwarded: boolean): void {
    this.#queue.push({ ask, since: this.#arena.timeline.now, isForwarded });
    this.#work();
  }

  #hear(region: number, isFree: boolean): void {
    this.#freeRegions[region] = isFree;
    if (isFree) this.#work();
  }

  #freePlaces(): readonly number[] {
    return this.#places.filter((place) => {
      const replica = this.#pool.replicas[place];
      return replica !== undefined && this.#probes.isFree(replica);
    });
  }

  /** One request at a time, in the order of arrival, one each 10 ms, as SkyWalker's loop does. */
  #work(): void {
    if (this.#isLooping || this.#queue.length === 0 || !this.#serveOne()) return;
    this.#isLooping = true;
    this.#arena.timeline.after(loopEveryMs, () => {
      this.#isLooping = false;
      this.#work();
    });
  }

  /** false: nobody is free for anybody. */
  #serveOne(): boolean {
    const free = this.#freePlaces();
    if (free.length > 0) {
      const waiting = this.#queue.shift();
      assert(waiting !== undefined, "only a queue that is not empty is worked");
      this.#pool.push(waiting.ask, this.#pool.byPrefix(waiting.ask, free));
      return true;
    }
    const now = this.#arena.timeline.now;
    const place = this.#queue.findIndex(
      (each) => !each.isForwarded && now - each.since >= this.#rules.widenAfterMs,
    );
    const ask = this.#queue[place]?.ask;
    const target = ask === undefined ? undefined : this.#otherRegion(ask);
    if (ask === undefined || target === undefined) return false;
    this.#queue.splice(place, 1);
    this.#forward(ask, target);
    return true;
  }

  /** The free region that was sent most of the beginning; where none was, the nearest. */
  #otherRegion(ask: Ask): Balancer | undefined {
    const free = this.#others.filter((each) => this.#freeRegions[each.region] === true);
    const match = this.#sentTo.match(ask.step.blocks, bitsOf(free.map((each) => each.region)));
    const among =
      match.rate > matchRateLeast
        ? free.filter((each) => match.targets.includes(each.region))
        : free;
    return among.toSorted((a, b) => this.#distance(a) - this.#distance(b))[0];
  }

  #distance(other: Balancer): number {
    return this.#arena.oneWayMs(this.region, other.region);
  }

  #forward(ask: Ask, target: Balancer): void {
    const pathMs = this.#distance(target);
    ask.awayMs += pathMs;
    this.#sentTo.learn(ask.step.blocks, target.region);
    this.#arena.timeline.after(pathMs, () => target.take(ask, true));
  }
}

function policy(name: string, rules: Rules): Policy {
  return {
    name,
    start: (arena) => {
      const balancers = arena.layout.replicas.map((_, at) => new Balancer(arena, at, rules));
      for (const each of balancers) each.meet(balancers);
      return { arrive: (ask) => balancers[ask.session.region]?.take(ask, false) };
    },
  };
}

/** Other regions at once, when no replica at home is free. */
export const selectivePushing: Policy = policy("selective-pushing", { widenAfterMs: 0 });

/** Half a second of waiting at home first. */
export const waitAndWiden: Policy = policy("wait-and-widen", { widenAfterMs: 500 });

/** Every region for itself: what regional peaks need. */
export const regionalPushing: Policy = policy("regional-pushing", {
  widenAfterMs: Number.POSITIVE_INFINITY,
});
