// One backend out of a pool: who may be called now, who of them is picked, and what that is told in the decision record.

import type { Instant, Random } from "@meridian/proto/base";
import type { Choice, Considered } from "../attempt/index.ts";
import type { PickablePool, Picker, Saturation } from "../balance/index.ts";
import type { Health } from "../health/index.ts";
import type { LoadTable } from "../load/index.ts";
import type { HeldState } from "./region-state.ts";
import type { Pool } from "./table.ts";

export type PoolQuestion = {
  readonly excluded: readonly number[];
  /** Only those who can go on from an assistant's words. */
  readonly continues: boolean;
  readonly saturation: Saturation;
  readonly picker: Picker;
  /** What the request adds. */
  readonly tokens: number;
  readonly load: LoadTable;
  readonly health: Health;
  readonly state: HeldState;
  readonly random: Random;
  readonly now: Instant;
};

/** As many names as a decision record keeps of one choice. */
const consideredMax = 16;

/** undefined: none may be called now. */
export function pickFromPool(pool: Pool, question: PoolQuestion): Choice | undefined {
  const isMarked = question.saturation.any(question.now);
  const choice = pickAmong(pool, question, isMarked);
  if (choice !== undefined || !isMarked) return choice;
  // Those who are better avoided are still better than another region.
  return pickAmong(pool, question, false);
}

function pickAmong(pool: Pool, question: PoolQuestion, avoids: boolean): Choice | undefined {
  const { excluded, continues, health, load, state, saturation, picker, now } = question;
  const isMarked = avoids || saturation.any(now);
  const slots: number[] = [];
  const weights: number[] = [];
  const places: number[] = [];
  for (let place = 0; place < pool.slots.length; place++) {
    const slot = pool.slots[place] ?? -1;
    if (excluded.includes(slot)) continue;
    const share = health.share(slot, now);
    if (share === 0) continue;
    const candidate = pool.candidates[place];
    if (candidate === undefined || state.isBackendDraining(candidate.name, now)) continue;
    if (continues && candidate.assistantPrefix === "none") continue;
    if (isMarked && saturation.isFull(slot, now)) continue;
    if (avoids && saturation.isAvoided(slot, now)) continue;
    slots.push(slot);
    weights.push((pool.weights[place] ?? 1) * share);
    places.push(place);
  }
  const pickable = { slots, weights, load, tokens: question.tokens };
  const picked = picker.pick(pickable, question.random);
  const candidate = pool.candidates[places[picked] ?? -1];
  if (candidate === undefined) return undefined;
  const considered = consider({ pool, places, picker, pickable, picked });
  return { candidate, reason: picker.name, considered };
}

type Picked = {
  readonly pool: Pool;
  readonly places: readonly number[];
  readonly picker: Picker;
  readonly pickable: PickablePool;
  readonly picked: number;
};

/** Of a large pool the first ones, and always the picked one. Weights of 0 were never in question. */
function consider({ pool, places, picker, pickable, picked }: Picked): Considered {
  const names: string[] = [];
  const scores: number[] = [];
  for (let at = 0; at < places.length; at++) {
    const room = at < picked ? consideredMax - 1 : consideredMax;
    if (names.length >= room || (pickable.weights[at] ?? 0) <= 0) continue;
    names.push(pool.candidates[places[at] ?? -1]?.name ?? "");
    scores.push(picker.score(pickable, at));
  }
  return { names, scores };
}
