// One backend out of a pool: who may be called now, who of them is picked, and what that is told in the decision record.

import type { Instant, Random } from "@meridian/proto/base";
import type { Choice, Considered } from "../attempt/index.ts";
import { type Picker, prefixBlockTokens, type Shortlist, type Work } from "../balance/index.ts";
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

/** As many names as a decision record keeps of one choice. */
const consideredMax = 16;

/** Leaves out who was tried, who is ejected or unhealthy, who is being drained and who can't do what is asked. */
export function surveyPool(pool: Pool, question: PoolQuestion): PoolSurvey {
  const { excluded, continues, health, state, now, work } = question;
  const { survey } = pool;
  survey.clear(work);
  for (let place = 0; place < pool.slots.length; place++) {
    const slot = pool.slots[place] ?? -1;
    const candidate = pool.candidates[place];
    const weight = (pool.weights[place] ?? 0) * health.share(slot, now);
    if (candidate === undefined || weight <= 0 || excluded.includes(slot)) continue;
    if (continues && candidate.assistantPrefix === "none") continue;
    if (state.isBackendDraining(candidate.name, now)) continue;
    enter(pool, place, weight, question);
  }
  return survey;
}

/** Room: what it said itself, what its bucket allows, what it may work on at once, and its own queue. */
function enter(pool: Pool, place: number, weight: number, question: PoolQuestion): void {
  const { calls, load, now, prefix, work } = question;
  const { survey } = pool;
  const slot = pool.slots[place] ?? -1;
  const { buckets, engines, prefixes, saturation } = calls;
  const fullForMs = Math.max(
    saturation.fullForMs(slot, now),
    buckets.roomInMs(slot, work.tokens, now),
  );
  if (fullForMs > 0) {
    survey.roomInMs = Math.min(survey.roomInMs, fullForMs);
    return;
  }
  const inFlight = load.inFlight(slot);
  if (inFlight >= (pool.capacities[place]?.concurrencyMax ?? Number.POSITIVE_INFINITY)) {
    survey.busy += 1;
    return;
  }
  const isQueued = saturation.isAvoided(slot, now) || (engines.waiting(slot, now) ?? 0) > 0;
  const hitTokens = prefixes.hitBlocks(prefix, slot) * prefixBlockTokens * hitTrust;
  const list = isQueued ? survey.queued : survey.open;
  const entry = list.add(place, slot);
  list.weights[entry] = weight;
  list.pending[entry] = load.pendingTokens(slot);
  list.inFlight[entry] = inFlight;
  list.hits[entry] = Math.min(work.promptTokens, hitTokens);
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
