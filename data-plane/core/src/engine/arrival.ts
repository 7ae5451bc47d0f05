// Whether a request that another region sent is taken: it is held nowhere but where it began, so here there is a place for
// it, or a queue that its sender finds short enough, or it is refused at once.

import type { Instant } from "@meridian/proto/base";
import type { ResolvedRoute } from "../route/index.ts";
import type { RequestFacts } from "./engine.ts";
import { localOutlook, poolFit, roomQueueMs } from "./local-outlook.ts";
import type { PlanContext } from "./plan-context.ts";
import { surveyPool } from "./pool-choice.ts";
import { waitKindOf, workOf } from "./request-work.ts";
import type { Pool } from "./table.ts";

/** The queue that is too long for its sender, in milliseconds; undefined: the request may come in. */
export function refusedQueueMs(
  context: PlanContext,
  facts: RequestFacts,
  { targets }: ResolvedRoute,
  now: Instant,
): number | undefined {
  const { queueMaxMs } = facts;
  if (facts.arrivedFrom === undefined || queueMaxMs === undefined) return undefined;
  const { calls, load, health, state, holds, table } = context;
  const work = workOf(facts);
  const kind = waitKindOf(facts) ?? "stream";
  const { prefix, isContinuation: continues } = facts;
  const question = { excluded: [], continues, work, calls, prefix, load, health, state, now };
  let waiting: Pool | undefined;
  for (const { model } of targets) {
    const pool = table().pools.get(model);
    if (pool === undefined) continue;
    const survey = surveyPool(pool, question);
    if (survey.hasRoom && !holds.isBehind(model, undefined)) {
      const queueMs = roomQueueMs(context, pool, poolFit(context, pool, kind));
      return queueMs > queueMaxMs ? Math.ceil(queueMs) : undefined;
    }
    if (survey.hasQueue || survey.hasRoom) waiting ??= pool;
  }
  // Nobody stands at all: then the request is refused for that.
  if (waiting === undefined) return undefined;
  const local = { work, kind, ticket: undefined };
  const { toldQueueMs } = localOutlook(context, waiting, local, now);
  // It is not held here: let in, it would go before own clients that are.
  const isBehindOwn = holds.isBehind(waiting.model, undefined);
  return isBehindOwn || toldQueueMs > queueMaxMs ? toldQueueMs : undefined;
}
