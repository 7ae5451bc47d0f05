// How soon the own region is expected to begin with a request for which it has no place now. Looked at only then.

import type { Instant } from "@meridian/proto/base";
import type { Shortlist, Work } from "../balance/index.ts";
import type { WaitKind } from "../health/index.ts";
import {
  defaultFit,
  expectedFirstTokenMs,
  type FirstTokenFit,
  idleFirstTokenMs,
  queueWaitMs,
  untestedErrorMs,
} from "../locality/index.ts";
import type { Ticket } from "./hold-queues.ts";
import type { PlanContext } from "./plan-context.ts";
import type { Pool } from "./table.ts";

export type LocalOutlook = {
  readonly firstTokenMs: number;
  /** Of it: until a place is free; undefined: no call has ended yet, so nobody knows. */
  readonly queueMs: number | undefined;
  /** Of it: the doubt. */
  readonly errorMs: number;
  /**
   * What other regions are told of the queue: with its doubt, as theirs is compared with what they expect at home, doubt
   * included. Without it, of two regions that are equally full each would send its requests to the other.
   */
  readonly toldQueueMs: number;
};

/** Told of a queue whose length nobody knows, as no call has ended yet: about a short answer's. */
const unknownQueueMs = 500;

export type LocalQuestion = {
  readonly work: Work;
  readonly kind: WaitKind;
  /** Of a request that waits already. */
  readonly ticket: Ticket | undefined;
};

/** Sums over the backends that could answer, if they had a place. */
type Sums = {
  backends: number;
  working: number;
  waiting: number;
  /** Those of whom it is known how long their calls take. */
  known: number;
  callMs: number;
  tokensPerCall: number;
  hitTokens: number;
  errorMs: number;
};

/** From the pool's last survey, which must be of this request. */
export function localOutlook(
  context: PlanContext,
  pool: Pool,
  question: LocalQuestion,
  now: Instant,
): LocalOutlook {
  const { survey } = pool;
  const fit = poolFit(context, pool, question.kind);
  const idleMs = idleFirstTokenMs(fit, question.work.promptTokens);
  const sums: Sums = {
    backends: 0,
    working: 0,
    waiting: 0,
    known: 0,
    callMs: 0,
    tokensPerCall: 0,
    hitTokens: 0,
    errorMs: 0,
  };
  for (const list of [survey.open, survey.avoided, survey.queued, survey.busy]) {
    addList(context, list, { sums, idleMs }, now);
  }
  const queueMs =
    sums.backends === 0 ? survey.roomInMs : queueOf(context, pool, { sums, question });
  const tokens = question.work.promptTokens - sums.hitTokens;
  const testedMs = sums.backends === 0 ? 0 : sums.errorMs / sums.backends;
  const doubtMs = queueMs === undefined ? 0 : queueErrorMs(context, pool, queueMs);
  const errorMs =
    queueMs === undefined ? testedMs + untestedErrorMs(idleMs) : Math.max(testedMs, doubtMs);
  const parts = { netMs: 0, queueMs: queueMs ?? 0, fit, tokens, errorMs };
  const toldQueueMs = Math.ceil((queueMs ?? unknownQueueMs) + doubtMs);
  return { firstTokenMs: expectedFirstTokenMs(parts), queueMs, errorMs, toldQueueMs };
}

/** How far waits of those who were held for the pool were off. */
function queueErrorMs(context: PlanContext, pool: Pool, queueMs: number): number {
  return context.times.errorMs(poolSlotOf(context, pool), queueMs);
}

/** Where what is held for a pool is counted, and how far expectations of those who were held were off. */
export function poolSlotOf({ table }: PlanContext, { model }: Pick<Pool, "model">): number {
  return table().poolSlots.get(model) ?? 0;
}

/** How soon one backend's first token is expected after so many tokens' work; undefined: it was hardly tried. */
export function expectedOf(
  { baselines, fits }: PlanContext,
  slot: number,
  { kind, tokens }: { readonly kind: WaitKind; readonly tokens: number },
): number | undefined {
  if (kind === "stream") return fits.expectedMs(slot, tokens);
  const fit = baselines.fit(slot, kind);
  return fit === undefined ? undefined : idleFirstTokenMs(fit, tokens);
}

/**
 * Until a backend that has a place would begin with one more request: the least of what stands before it in those of the
 * pool's last survey. 0 where nothing does.
 */
export function roomQueueMs(context: PlanContext, { survey }: Pool, fit: FirstTokenFit): number {
  let least = Number.POSITIVE_INFINITY;
  for (const list of [survey.open, survey.avoided]) {
    for (let entry = 0; entry < list.count; entry++) {
      least = Math.min(least, context.load.awaitedTokens(list.slots[entry] ?? 0));
    }
  }
  return Number.isFinite(least) ? fit.msPerToken * Math.max(0, least) : 0;
}

/** What the first token takes on an idle backend of the pool: the mean of those that are known, else the default. */
export function poolFit(
  { baselines, fits }: PlanContext,
  pool: Pool | undefined,
  kind: WaitKind,
): FirstTokenFit {
  const slots = pool?.slots ?? [];
  if (kind === "stream") return fits.meanOf(slots) ?? defaultFit;
  const known = slots.flatMap((slot) => baselines.fit(slot, kind) ?? []);
  if (known.length === 0) return defaultFit;
  return {
    baseMs: known.reduce((sum, each) => sum + each.baseMs, 0) / known.length,
    msPerToken: known.reduce((sum, each) => sum + each.msPerToken, 0) / known.length,
  };
}

function addList(
  { calls, times }: PlanContext,
  list: Shortlist,
  { sums, idleMs }: { readonly sums: Sums; readonly idleMs: number },
  now: Instant,
): void {
  for (let entry = 0; entry < list.count; entry++) {
    const slot = list.slots[entry] ?? 0;
    sums.backends += 1;
    // What all proxies sent it, where it tells; or what this one did since it told.
    sums.working += Math.max(calls.engines.running(slot, now) ?? 0, list.inFlight[entry] ?? 0);
    sums.waiting += calls.engines.waiting(slot, now) ?? 0;
    sums.hitTokens = Math.max(sums.hitTokens, list.hits[entry] ?? 0);
    sums.errorMs += times.errorMs(slot, idleMs);
    const callMs = times.callMs(slot);
    if (callMs === undefined) continue;
    sums.known += 1;
    sums.callMs += callMs;
    sums.tokensPerCall += times.tokensPerCall(slot) ?? 0;
  }
}

function queueOf(
  context: PlanContext,
  pool: Pool,
  { sums, question }: { readonly sums: Sums; readonly question: LocalQuestion },
): number | undefined {
  const { holds, load } = context;
  if (sums.known === 0) return undefined;
  const callMs = sums.callMs / sums.known;
  const tokensPerCall = sums.tokensPerCall / sums.known;
  // Held by all threads; where the own ones stand tells where a request stands among all.
  const heldTokens = Math.max(0, load.pendingTokens(poolSlotOf(context, pool)));
  const ownTokens = holds.tokensOf(pool.model);
  const { ticket } = question;
  const before = ticket === undefined || ownTokens === 0 ? 1 : ticket.aheadTokens / ownTokens;
  const tokensAhead = before * Math.max(heldTokens, ownTokens) + sums.waiting * tokensPerCall;
  return queueWaitMs({ tokensAhead, callMs, tokensPerCall, working: sums.working });
}
