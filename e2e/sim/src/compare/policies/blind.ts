// Policies that push at once: blind pushing by prefix and load, and GORGO's cost. A load balancer in every region chooses
// a replica at home or another region, whose load balancer then chooses among its own and never sends on.

import type { Arena, Ask, Policy } from "../arena/arena.ts";
import { bitsOf, PrefixMemory } from "../arena/prefix-memory.ts";
import { probeEveryMs } from "../arena/probes.ts";
import { blockTokens } from "../workloads/work.ts";
import { Pool } from "./pool.ts";

const matchRateLeast = 0.5;

/** ms per token and weight of running requests, as GORGO is coded (gotoni pkg/cluster/loadbalancer.go). */
const gorgo = { msPerToken: 0.094, runningWeight: 1 } as const;

/** What a region's load balancer knows, and its ways to send. */
class Balancer {
  readonly region: number;
  readonly arena: Arena;
  readonly pool: Pool;
  readonly places: readonly number[];
  /** Which region was sent which beginnings, the own one included. */
  readonly sentTo = new PrefixMemory();
  /** Outstanding requests for each replica, by region, as last heard. */
  readonly loads: number[];
  /** Prompt tokens of own pushes, by replica: before their first token, and after it. */
  readonly queuedTokens: number[];
  readonly runningTokens: number[];
  others: readonly Balancer[] = [];

  constructor(arena: Arena, region: number) {
    this.arena = arena;
    this.region = region;
    this.pool = new Pool(arena, region, arena.local[region] ?? []);
    this.places = this.pool.places();
    this.loads = arena.layout.replicas.map(() => 0);
    this.queuedTokens = this.places.map(() => 0);
    this.runningTokens = this.places.map(() => 0);
  }

  meet(all: readonly Balancer[]): void {
    this.others = all.filter((each) => each !== this);
    this.arena.timeline.every(probeEveryMs, () => {
      const load = this.load();
      for (const other of this.others) {
        this.arena.timeline.after(this.arena.oneWayMs(this.region, other.region), () => {
          other.loads[this.region] = load;
        });
      }
    });
  }

  load(): number {
    const total = this.pool.outstanding.reduce((sum, each) => sum + each, 0);
    return total / Math.max(1, this.places.length);
  }

  serve(ask: Ask, place: number): void {
    this.sentTo.learn(ask.step.blocks, this.region);
    const tokens = ask.step.promptTokens;
    add(this.queuedTokens, place, tokens);
    this.pool.push(ask, place, {
      first: () => {
        add(this.queuedTokens, place, -tokens);
        add(this.runningTokens, place, tokens);
      },
      ended: () => add(this.runningTokens, place, -tokens),
    });
  }

  forward(ask: Ask, region: number, serve: (target: Balancer) => void): void {
    const target = this.others.find((each) => each.region === region);
    if (target === undefined) throw new Error(`there is no other region ${region}`);
    const pathMs = this.arena.oneWayMs(this.region, region);
    ask.awayMs += pathMs;
    this.sentTo.learn(ask.step.blocks, region);
    this.arena.timeline.after(pathMs, () => serve(target));
  }
}

function add(numbers: number[], place: number, change: number): void {
  numbers[place] = (numbers[place] ?? 0) + change;
}

function policy(name: string, arrive: (balancer: Balancer, ask: Ask) => void): Policy {
  return {
    name,
    start: (arena) => {
      const balancers = arena.layout.replicas.map((_, region) => new Balancer(arena, region));
      for (const each of balancers) each.meet(balancers);
      return {
        arrive: (ask) => {
          const own = balancers[ask.session.region];
          if (own !== undefined) arrive(own, ask);
        },
      };
    },
  };
}

/** The region that was sent most of the beginning, else the least loaded; then the replica by the same rule. */
export const blindPushing: Policy = policy("blind-pushing", (own, ask) => {
  const serve = (at: Balancer): void => at.serve(ask, at.pool.byPrefix(ask, at.places));
  const regions = own.arena.layout.replicas.flatMap((count, region) => (count > 0 ? [region] : []));
  const match = own.sentTo.match(ask.step.blocks, bitsOf(regions));
  const among = match.rate > matchRateLeast ? match.targets : regions;
  // Of equals the own region: it costs no way.
  const nearFirst = among.toSorted(
    (a, b) => own.arena.oneWayMs(own.region, a) - own.arena.oneWayMs(own.region, b),
  );
  const loads = nearFirst.map((region) =>
    region === own.region ? own.load() : (own.loads[region] ?? 0),
  );
  const region = nearFirst[loads.indexOf(Math.min(...loads))] ?? own.region;
  if (region === own.region) serve(own);
  else own.forward(ask, region, serve);
});

function localCost(at: Balancer, ask: Ask, place: number): number {
  const matched = at.pool.prefixes.matchOne(ask.step.blocks, place) * blockTokens;
  const unmatched = Math.max(0, ask.step.promptTokens - matched);
  const running = gorgo.runningWeight * (at.runningTokens[place] ?? 0);
  return gorgo.msPerToken * (running + (at.queuedTokens[place] ?? 0) + unmatched);
}

/** At home `a m running + m queued + m unmatched`, abroad `RTT + m unmatched`: the queue abroad is nobody's term. */
export const gorgoCost: Policy = policy("gorgo", (own, ask) => {
  const serve = (at: Balancer): void => {
    at.serve(
      ask,
      at.pool.least(at.places, (place) => localCost(at, ask, place)),
    );
  };
  const home = Math.min(...own.places.map((place) => localCost(own, ask, place)));
  let best = { region: own.region, cost: home };
  for (const { region, places } of own.others) {
    if (places.length === 0) continue;
    const matched = own.sentTo.matchOne(ask.step.blocks, region) * blockTokens;
    const unmatched = Math.max(0, ask.step.promptTokens - matched);
    const cost = 2 * own.arena.oneWayMs(own.region, region) + gorgo.msPerToken * unmatched;
    if (cost < best.cost) best = { region, cost };
  }
  if (best.region === own.region) serve(own);
  else own.forward(ask, best.region, serve);
});
