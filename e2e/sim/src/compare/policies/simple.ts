// The four simple baselines. As in SkyWalker's evaluation each is one load balancer in the first region that knows the
// replicas of all regions: it sees everything it ever pushed, and pays for that with the way there and on.

import { fnv1a } from "@meridian/proto/base";
import type { Arena, Ask, Policy } from "../arena/arena.ts";
import { Pool } from "./pool.ts";

const home = 0;

function central(name: string, chooser: (pool: Pool) => (ask: Ask) => number): Policy {
  return {
    name,
    central: home,
    start: (arena: Arena) => {
      const pool = new Pool(arena, home, arena.replicas);
      const choose = chooser(pool);
      return { arrive: (ask) => pool.push(ask, choose(ask)) };
    },
  };
}

export const roundRobin: Policy = central("round-robin", (pool) => {
  let turn = -1;
  return () => {
    turn = (turn + 1) % pool.replicas.length;
    return turn;
  };
});

/** Fewest outstanding requests. */
export const leastLoad: Policy = central("least-load", (pool) => {
  const places = pool.places();
  return () => pool.leastOutstanding(places);
});

const ringPoints = 100;
const loadBound = 1.25;

/** By session, on a ring; nobody gets more than 1.25 times its share of what is outstanding (Mirrokni et al., 2016). */
export const consistentHash: Policy = central("consistent-hash", (pool) => {
  const ring = pool.replicas
    .flatMap((_, place) =>
      Array.from({ length: ringPoints }, (__, at) => ({ place, point: hash(`${place}/${at}`) })),
    )
    .sort((a, b) => a.point - b.point);
  return (ask) => {
    const total = pool.outstanding.reduce((sum, each) => sum + each, 0) + 1;
    const most = Math.ceil((loadBound * total) / pool.replicas.length);
    const point = hash(`session ${ask.client}`);
    const start = ring.findIndex((each) => each.point >= point);
    for (let step = 0; step < ring.length; step++) {
      const { place } = ring[(Math.max(0, start) + step) % ring.length] ?? { place: 0 };
      if ((pool.outstanding[place] ?? 0) < most) return place;
    }
    return 0;
  };
});

/** FNV-1a leaves likely texts near each other: its bits are mixed once more (the finaliser of MurmurHash3). */
function hash(text: string): number {
  let bits = fnv1a(text);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** Longest match, whatever the load; among equals the fewest outstanding. */
export const prefixOnly: Policy = central("prefix-only", (pool) => {
  const places = pool.places();
  return (ask) => {
    const { targets } = pool.match(ask, places);
    return pool.leastOutstanding(targets.length > 0 ? targets : places);
  };
});

export const simplePolicies: readonly Policy[] = [
  roundRobin,
  leastLoad,
  consistentHash,
  prefixOnly,
];
