// When nobody is in good standing: who is tried all the same, or when it is worth asking again.

import type { Instant } from "@meridian/proto/base";
import type { Candidate, Choice, Considered, NoChoice } from "../attempt/index.ts";
import type { PlanContext } from "./plan-context.ts";
import { fullForMs, roomyBackends } from "./pool-choice.ts";
import { openRegions, type RemoteQuestion } from "./region-choice.ts";
import type { Pool } from "./table.ts";

/** Nothing more can be done. */
export const gone: NoChoice = {
  kind: "none",
  candidate: undefined,
  reason: "no candidate is left",
  retryAfterMs: undefined,
};

export type LastQuestion = {
  readonly remote: RemoteQuestion;
  /** The own region's pools that residency allows; empty: none. */
  readonly pools: readonly Pool[];
  /** Only those who can go on from an assistant's words. */
  readonly continues: boolean;
};

/**
 * Tries what was ejected, rather than refuse unasked. Backends of this region, then the other regions' proxies. Never what
 * an operator drains, nor beyond what one bears by its own word or the policy's. A request from abroad has its sender, who
 * has others.
 */
export function lastResort(
  context: PlanContext,
  { remote, pools, continues }: LastQuestion,
  now: Instant,
): Choice | undefined {
  if (remote.facts.arrivedFrom !== undefined) return undefined;
  const { state, random, calls, load } = context;
  const room = { calls, load, work: remote.work, now };
  const able = pools
    .flatMap((each) => roomyBackends(each, room))
    .filter(
      (each) =>
        !remote.excluded.includes(each.slot) &&
        !state.isBackendDraining(each.name, now) &&
        !(continues && each.assistantPrefix === "none"),
    );
  const abroad = openRegions(context, remote).filter((each) => !state.isDraining(each.name, now));
  const choices = able.length > 0 ? able : abroad.flatMap((each) => each.candidates);
  const candidate = choices[choices.length > 1 ? random.integer(choices.length) : 0];
  return candidate === undefined
    ? undefined
    : { candidate, reason: "last resort", considered: equals(candidate, choices) };
}

/** Who asked to be left alone tells how long: then it is worth asking again. */
export function nobodyLeft(
  { calls, load }: PlanContext,
  { remote, pools }: LastQuestion,
  now: Instant,
): NoChoice {
  const room = { calls, load, work: remote.work, now };
  let leastMs = Number.POSITIVE_INFINITY;
  for (const { slots, weights } of pools) {
    for (const [place, slot] of slots.entries()) {
      const waitMs = (weights[place] ?? 0) > 0 ? fullForMs(slot, room) : 0;
      if (waitMs > 0) leastMs = Math.min(leastMs, waitMs);
    }
  }
  if (leastMs === Number.POSITIVE_INFINITY) return gone;
  return {
    kind: "none",
    candidate: undefined,
    reason: "every model server that is left is full",
    retryAfterMs: leastMs,
  };
}

function equals(chosen: Candidate, choices: readonly Candidate[]): Considered {
  const others = choices.filter((each) => each !== chosen).slice(0, 15);
  return {
    names: [chosen, ...others].map((each) => each.name),
    scores: [0, ...others.map(() => 0)],
  };
}
