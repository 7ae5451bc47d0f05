// How long a decision takes and how much it allocates, for each picker and for a region that is full.

import { getHeapStatistics } from "node:v8";
import { findPicker, PickMemory, Shortlist } from "@meridian/data-core/balance";
import { assert, seededRandom } from "@meridian/proto/base";
import type { Balance } from "@meridian/proto/snapshot";
import type { Figure } from "../report/figures.ts";
import { quantile } from "../report/quantile.ts";
import { World } from "./world.ts";

export type Effort = {
  readonly balances: readonly Balance[];
  /** Timed decisions of one round. */
  readonly decisions: number;
  /** The quietest one of so many rounds is shown: a turn of another program on the processor is no part of a decision. */
  readonly rounds: number;
  /** The most that 99 of 100 decisions may take. */
  readonly p99MaxUs: number;
};

export const allBalances: readonly Balance[] = [
  "round-robin",
  "weighted",
  "least-outstanding",
  "cache-aware",
];

const backends = 64;

/** Between pools whose decisions name equally many backends in their record. */
const growth = { small: 16, large: 64, most: 1.1 } as const;

/** `begin` and the first step, 3 regions × 64 backends. */
export function wholeFigures(effort: Effort): readonly Figure[] {
  const worlds = [
    ...effort.balances.map((balance) => ({ name: balance as string, balance, isFull: false })),
    {
      name: "cache-aware, every server has a queue",
      balance: "cache-aware" as const,
      isFull: true,
    },
  ];
  return worlds.flatMap(({ name, balance, isFull }) => {
    const world = new World({ balance, backends, isFull });
    const rounds = repeat(effort, () => world.decide());
    return timeFigures(`decision, ${name}`, rounds, effort.p99MaxUs);
  });
}

/** The picker alone, with the list of 64 made. */
export function pickerFigures(effort: Effort): readonly Figure[] {
  return effort.balances.flatMap((balance) => {
    const random = seededRandom(balance);
    const list = listOf(random.integer);
    const picker = findPicker(balance);
    const rounds = repeat(effort, () => {
      const startedAt = performance.now();
      const entry = picker.pick(list, random);
      const tookMs = performance.now() - startedAt;
      list.pending[entry] = (list.pending[entry] ?? 0) + 100;
      return tookMs * 1_000;
    });
    return timeFigures(`picker, ${balance}`, rounds, effort.p99MaxUs);
  });
}

/** A fixed piece of arithmetic: what its slowest hundredth takes beyond its middle is the machine's, in this run. */
export function machineFigures(effort: Effort): readonly Figure[] {
  let sum = 0;
  const rounds = repeat(effort, () => {
    const startedAt = performance.now();
    for (let step = 0; step < 2_000; step++) sum = (sum * 31 + step) % 1_000_003;
    return (performance.now() - startedAt) * 1_000;
  });
  // Read, so that the compiler may not leave it out.
  assert(sum >= 0, "a remainder is not below 0");
  return timeFigures("machine, plain arithmetic", rounds, undefined);
}

/** What a decision leaves for the collector does not grow with the fleet. */
export function allocationFigures({ balances, rounds }: Effort): readonly Figure[] {
  return balances.flatMap((balance): readonly Figure[] => {
    const bytes = (size: number) =>
      bytesPerDecision(new World({ balance, backends: size, isFull: false }), rounds);
    const large = bytes(growth.large);
    const ratio = large / bytes(growth.small);
    return [
      { name: `allocated, ${balance}`, value: large, unit: "bytes per decision" },
      {
        name: `allocated, ${balance}: ${growth.large} backends against ${growth.small}`,
        value: ratio,
        unit: "times",
        atMost: growth.most,
      },
    ];
  });
}

function timeFigures(
  name: string,
  rounds: readonly (readonly number[])[],
  p99MaxUs: number,
): readonly Figure[] {
  const middle = (share: number) =>
    quantile(
      rounds.map((each) => quantile(each, share)),
      0.5,
    );
  return [
    { name: `${name}: p50`, value: middle(0.5), unit: "µs" },
    {
      name: `${name}: p99`,
      value: middle(0.99),
      unit: "µs",
      ...(p99MaxUs === undefined ? {} : { atMost: p99MaxUs }),
    },
  ];
}

/** The first round is for the compiler and is not kept. */
function repeat({ decisions, rounds }: Effort, measure: () => number): readonly number[][] {
  const all = Array.from({ length: rounds + 1 }, () => {
    const taken = new Array<number>(decisions);
    for (let each = 0; each < decisions; each++) taken[each] = measure();
    return taken;
  });
  return all.slice(1);
}

function listOf(integer: (below: number) => number): Shortlist {
  const list = new Shortlist(new PickMemory(backends));
  list.clear({ tokens: 4_396, promptTokens: 4_096 });
  for (let place = 0; place < backends; place++) {
    const entry = list.add(place, place);
    list.weights[entry] = place % 8 === 0 ? 0.5 : 1;
    list.pending[entry] = integer(50_000);
    list.inFlight[entry] = 1 + integer(16);
    list.hits[entry] = integer(4) === 0 ? integer(4_096) : 0;
  }
  return list;
}

/** Code that is still being compiled boxes its numbers: so many decisions go first, and the least of a few stretches counts. */
const warmUp = 6_000;

function bytesPerDecision(world: World, rounds: number): number {
  const decisions = 500;
  for (let each = 0; each < warmUp; each++) world.decide();
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds * 4; round++) {
    const before = getHeapStatistics().total_allocated_bytes;
    for (let each = 0; each < decisions; each++) world.decide();
    const bytes = getHeapStatistics().total_allocated_bytes - before;
    least = Math.min(least, bytes / decisions);
  }
  return least;
}
