// One backend out of a pool: who may be called now, who of them is picked, and what that is told in the decision record.

import type { Instant, Random } from "@meridian/proto/base";
import type { Candidate, Choice, Considered } from "../attempt/index.ts";
import {
  type Picker,
  type PrefixIndex,
  prefixBlockTokens,
  type Shortlist,
  type Work,
} from "../balance/index.ts";
import type { Health } from "../health/index.ts";
import type { LoadTable } from "../load/index.ts";
import type { CallKnowledge } from "./call-knowledge.ts";
import type { PoolSurvey } from "./pool-survey.ts";
import type { HeldState } from "./region-state.ts";
import type { Pool } from "./table.ts";

export type PoolQuestion = {
  readonly excluded: readonly number[];
  /** Only those who can go on from an assistant's words. */
  readonly continues: boolean;
  readonly calls: CallKnowledge;
  /** What the request adds. */
  readonly work: Work;
  /** The beginning of its prompt; empty: nobody asks for it. */
  readonly prefix: readonly number[];
  readonly load: LoadTable;
  readonly health: Health;
  readonly state: HeldState;
  readonly now: Instant;
};

/** Caches lose blocks that the index does not know of. */
const hitTrust = 0.8;

/**
 * What a token of an answer counts beside one of a prompt. Servers make answers of many requests in one step, so they stand
 * less in the way; and a client's limit is mostly far above what comes. Simulated: with 1 the caches hit less, by three
 * points in a hundred; with nothing at all the slowest first tokens are later.
 */
const answerShare = 0.25;

/** As many names as a decision record keeps of one choice. */
const consideredMax = 16;

/** Leaves out who was tried, who is ejected or unhealthy, who is being drained and who can't do what is asked. */
export function surveyPool(pool: Pool, question: PoolQuestion): PoolSurvey {
  const { excluded, continues, health, state, now, work } = question;
  const { candidates, slots, survey, weights } = pool;
  survey.clear(work);
  // What nearly nobody is, is asked once for all.
  const drains = state.drainsBackends;
  const isFirst = excluded.length === 0;
  for (let place = 0; place < slots.length; place++) {
    const slot = slots[place] ?? -1;
    const candidate = candidates[place];
    const weight = (weights[place] ?? 0) * health.share(slot, now);
    if (candidate === undefined || weight <= 0) continue;
    if (!isFirst && excluded.includes(slot)) continue;
    if (continues && candidate.assistantPrefix === "none") continue;
    if (drains && state.isBackendDraining(candidate.name, now)) continue;
    const fullMs = fullForMs(slot, question);
    if (fullMs > 0) survey.roomInMs = Math.min(survey.roomInMs, fullMs);
    else enter(pool, place, weight, question);
  }
  return survey;
}

/** By what it works on and by its own queue. */
function enter(pool: Pool, place: number, weight: number, question: PoolQuestion): void {
  const { load, now, prefix, work } = question;
  const { engines, prefixes, saturation } = question.calls;
  const { survey } = pool;
  const slot = pool.slots[place] ?? -1;
  const inFlight = load.inFlight(slot);
  let list = survey.open;
  if (inFlight >= (pool.inFlightMax[place] ?? 0)) list = survey.busy;
  else if (engines.isQueued(slot, now)) list = survey.queued;
  else if (saturation.any(now) && saturation.isAvoided(slot, now)) list = survey.avoided;
  const entry = list.add(place, slot);
  list.weights[entry] = weight;
  const awaited = load.awaitedTokens(slot);
  list.pending[entry] = awaited + answerShare * (load.pendingTokens(slot) - awaited);
  list.inFlight[entry] = inFlight;
  if (prefix.length === 0) return;
  list.hits[entry] = Math.min(work.promptTokens, hitTokensOf(prefixes, prefix, slot));
}

/** Tokens of a prompt that a backend need not compute again, probably. */
export function hitTokensOf(
  prefixes: PrefixIndex,
  prefix: readonly number[],
  slot: number,
): number {
  return prefixes.hitBlocks(prefix, slot) * prefixBlockTokens * hitTrust;
}

/** What decides on room. */
export type RoomQuestion = Pick<PoolQuestion, "calls" | "load" | "work" | "now">;

/** Milliseconds until a backend has room, by its own word and by its bucket; 0: it is not full. */
export function fullForMs(slot: number, { calls, now, work }: RoomQuestion): number {
  const { buckets, saturation } = calls;
  const bucketMs = buckets.roomInMs(slot, work.tokens, now);
  return saturation.any(now) ? Math.max(saturation.fullForMs(slot, now), bucketMs) : bucketMs;
}

/** Those of a pool who are neither full nor busy, however they stand. A weight of 0 is an operator's word: no requests. */
export function roomyBackends(pool: Pool, question: RoomQuestion): readonly Candidate[] {
  return pool.candidates.filter(({ slot }, place) => {
    if ((pool.weights[place] ?? 0) <= 0 || fullForMs(slot, question) > 0) return false;
    return question.load.inFlight(slot) < (pool.inFlightMax[place] ?? 0);
  });
}

export type Picking = {
  readonly picker: Picker;
  readonly random: Random;
  /** The slot of the session's backend, which is preferred while it is on the list. */
  readonly sticky: number | undefined;
};

/** undefined: nobody is on the list. */
export function pickFrom(pool: Pool, list: Shortlist, picking: Picking): Choice | undefined {
  const { picker, random, sticky } = picking;
  const held = sticky === undefined ? -1 : entryOf(list, sticky);
  const picked = held === -1 ? picker.pick(list, random) : held;
  const candidate = pool.candidates[list.places[picked] ?? -1];
  if (candidate === undefined) return undefined;
  const reason = held === -1 ? picker.name : "session";
  return { candidate, reason, considered: consider(pool, list, picker, picked) };
}

function entryOf(list: Shortlist, slot: number): number {
  for (let entry = 0; entry < list.count; entry++) {
    if (list.slots[entry] === slot) return entry;
  }
  return -1;
}

/** Of a large pool the first ones, and always the picked one. */
function consider(pool: Pool, list: Shortlist, picker: Picker, picked: number): Considered {
  const names: string[] = [];
  const scores: number[] = [];
  for (let entry = 0; entry < list.count && names.length < consideredMax; entry++) {
    const isLast = names.length === consideredMax - 1;
    const shown = isLast && entry < picked ? picked : entry;
    names.push(pool.candidates[list.places[shown] ?? -1]?.name ?? "");
    scores.push(picker.score(list, shown));
  }
  return { names, scores };
}
