// How this region stands, for proxies of other regions that ask: for each model how long one more request would wait here,
// and how much more work would be taken.

import type { Instant } from "@meridian/proto/base";
import type { Work } from "../balance/index.ts";
import type { ToldPool } from "../locality/index.ts";
import { localOutlook, poolFit, roomQueueMs } from "./local-outlook.ts";
import type { PlanContext } from "./plan-context.ts";
import { surveyPool } from "./pool-choice.ts";
import type { Pool } from "./table.ts";

export type PoolOutlook = ToldPool & { readonly model: string };

/** What is asked about: the smallest request there is. */
const smallest: Work = { tokens: 1, promptTokens: 1 };

/** Of what the backends bear others get no more than the region table would give them. */
const usableShare = 0.85;

/** Told where nobody could answer at all. */
const noneQueueMs = 60_000;

/** Models that this region's backends serve, sorted. */
export function poolOutlooks(context: PlanContext, now: Instant): readonly PoolOutlook[] {
  const { pools } = context.table();
  return [...pools.keys()].sort().flatMap((model) => {
    const pool = pools.get(model);
    return pool === undefined ? [] : [outlookOf(context, pool, now)];
  });
}

function outlookOf(context: PlanContext, pool: Pool, now: Instant): PoolOutlook {
  const { calls, health, holds, load, state } = context;
  const { model } = pool;
  const asked = { excluded: [], continues: false, work: smallest, prefix: [] };
  const survey = surveyPool(pool, { ...asked, calls, load, health, state, now });
  if (survey.hasRoom && !holds.isBehind(model, undefined)) {
    const queueMs = Math.ceil(roomQueueMs(context, pool, poolFit(context, pool, "stream")));
    return { model, queueMs, headroom: headroomOf(context, model, now) };
  }
  if (!survey.hasRoom && !survey.hasQueue) return { model, queueMs: noneQueueMs, headroom: 0 };
  const local = { work: smallest, kind: "stream", ticket: undefined } as const;
  const { toldQueueMs } = localOutlook(context, pool, local, now);
  return { model, queueMs: toldQueueMs, headroom: 0 };
}

/**
 * By the newest word of the own control plane, which sees what all of the region's proxies have under way. At least 1: a
 * capacity is an estimate, and a place that is free now is a fact. The queue says how long it stays one.
 */
function headroomOf(
  { state, table }: PlanContext,
  model: string,
  now: Instant,
): number | undefined {
  const told = state.pool(table().region, model, now);
  if (told?.capacity === undefined) return undefined;
  return Math.max(1, Math.floor(usableShare * told.capacity - told.demand));
}
