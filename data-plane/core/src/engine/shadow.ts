// Copies of requests for a model that is tried out. A copy is made only where nobody needs the room that it takes: of
// idle backends of the own region, within the tenant's residency, of a few at a time, and once.

import type { Instant, Random } from "@meridian/proto/base";
import type { RouteView } from "@meridian/proto/snapshot";
import { AttemptMachine, type Attempts } from "../attempt/index.ts";
import type { LoadTable } from "../load/index.ts";
import { allowsRegion, type ResolvedRoute } from "../route/index.ts";
import type { RequestFacts, Usage } from "./engine.ts";
import type { PlanContext } from "./plan-context.ts";
import { surveyPool } from "./pool-choice.ts";
import { budgetsFor } from "./request-budgets.ts";
import { RequestPlan } from "./request-plan.ts";
import { settleBuckets, workOf } from "./request-work.ts";
import type { Table, TenantPlan } from "./table.ts";

/** What becomes of a request's copy. */
export type Shadow =
  /** The route has no shadow, or chance has not chosen this request, or it must not be copied here. */
  | { readonly kind: "none" }
  /** It would have been in somebody's way. */
  | { readonly kind: "skipped"; readonly model: string; readonly reason: ShadowSkip }
  | {
      readonly kind: "copy";
      readonly model: string;
      /** One call. The caller steps it to its end, and tells the engine of nothing else. */
      readonly attempts: Attempts;
      /** The caller calls it once, when the copy is over, with what its answer used. */
      readonly end: (usage: Usage, now: Instant) => void;
    };

export type ShadowSkip =
  /** As many copies as the policy allows are under way. */
  | "crowded"
  /** Its backends have something to do for clients, or are not well. */
  | "busy";

export type ShadowedRequest = {
  readonly facts: RequestFacts;
  readonly resolved: ResolvedRoute;
  readonly tenant: TenantPlan;
};

/** A copy is not waited for longer, whatever its route allows. */
const copyMsMax = 120_000;

const none: Shadow = { kind: "none" };

/** Of requests of own clients alone: a copy would be the second for one that another region sent. */
export function shadowOf(
  context: PlanContext,
  { facts, resolved, tenant }: ShadowedRequest,
  random: Random,
  now: Instant,
): Shadow {
  const { shadow } = resolved.route;
  if (shadow === undefined || facts.arrivedFrom !== undefined) return none;
  const table = context.table();
  if (!allowsRegion(tenant.residency, table.region)) return none;
  if (random.next() * 100 >= shadow.percent) return none;
  const { model } = shadow;
  const leave = takePlace(context.load, table.shadowSlots.get(resolved.route.name), shadow);
  if (leave === undefined) return { kind: "skipped", model, reason: "crowded" };
  if (!isIdle(context, table, { facts, model }, now)) {
    leave();
    return { kind: "skipped", model, reason: "busy" };
  }
  const attempts = attemptsFor(context, { facts, resolved }, model);
  const end = (usage: Usage, at: Instant) => {
    leave();
    settleBuckets(context.calls.buckets, { facts, attempts: attempts.records(), usage }, at);
  };
  return { kind: "copy", model, attempts, end };
}

/**
 * Counted in the load table, where all of the proxy's threads see it: who finds too many after having counted itself steps
 * back, so that there never are more than are allowed. Gives what ends it; undefined: there is no place.
 */
function takePlace(
  load: LoadTable,
  slot: number | undefined,
  { concurrencyMax }: NonNullable<RouteView["shadow"]>,
): (() => void) | undefined {
  if (slot === undefined) return undefined;
  load.start(slot, 0);
  const end = () => load.end(slot, 0, "uncounted");
  if (load.inFlight(slot) <= concurrencyMax) return end;
  end();
  return undefined;
}

/** Somebody may be called, and nobody of the pool is at his limit, has a queue, asked to be left alone or is waited for. */
function isIdle(
  context: PlanContext,
  table: Table,
  { facts, model }: { readonly facts: RequestFacts; readonly model: string },
  now: Instant,
): boolean {
  const pool = table.pools.get(model);
  if (pool === undefined || context.holds.count > 0) return false;
  const { calls, health, load, state } = context;
  const asked = { excluded: [], continues: false, work: workOf(facts), prefix: [] };
  const survey = surveyPool(pool, { ...asked, calls, load, health, state, now });
  return survey.open.count > 0 && !survey.hasQueue && survey.avoided.count === 0;
}

/** One call here and now, by the rules of the request's own route; neither sent on, nor held, nor of a session. */
function attemptsFor(
  context: PlanContext,
  { facts, resolved }: Pick<ShadowedRequest, "facts" | "resolved">,
  model: string,
): Attempts {
  const targets = [{ model, weight: 1 }];
  const route: RouteView = {
    ...resolved.route,
    targets,
    attemptsMax: 1,
    fallback: [],
    hedge: undefined,
    shadow: undefined,
    affinityHeader: undefined,
    timeouts: {
      ...resolved.route.timeouts,
      totalMs: Math.min(copyMsMax, resolved.route.timeouts.totalMs),
    },
  };
  const copied = { route, targets, reason: "copy" };
  // Nobody chooses among them by what they have seen of copies.
  const copy: RequestFacts = { ...facts, timeoutMs: undefined, continuable: false, prefix: [] };
  const plan = new RequestPlan(context, { facts: copy, resolved: copied, targets });
  const attempts = new AttemptMachine(plan, budgetsFor(copy, copied, new Set()), context.random);
  plan.belongTo(attempts);
  return attempts;
}
