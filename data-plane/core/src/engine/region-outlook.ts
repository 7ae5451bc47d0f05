// What going to another region promises: how soon its first token is expected, whether it has room, and whether the region
// table lets one more go there. Looked at when the own region has no place, or is to be left.

import { type Instant, kmBetween } from "@meridian/proto/base";
import type { Work } from "../balance/index.ts";
import {
  estimatedRttMs,
  expectedFirstTokenMs,
  type FirstTokenFit,
  idleFirstTokenMs,
  netMs,
  type RegionStateView,
  remoteQueueMs,
  untestedErrorMs,
} from "../locality/index.ts";
import type { PlanContext } from "./plan-context.ts";
import type { PeerRegion } from "./table.ts";

export type RegionOutlook = {
  readonly peer: PeerRegion;
  readonly name: string;
  readonly state: RegionStateView | undefined;
  readonly firstTokenMs: number;
  /** Of it: the queue there, and the doubt. */
  readonly queueMs: number;
  readonly errorMs: number;
  /** Its way works, as far as is known. */
  readonly isOpen: boolean;
};

export type RegionQuestion = {
  /** Models that would do, the first one first. */
  readonly models: readonly string[];
  readonly work: Work;
  /** Of an idle backend; nobody tells those of the other regions. */
  readonly fit: FirstTokenFit;
};

export function regionOutlook(
  context: PlanContext,
  peer: PeerRegion,
  question: RegionQuestion,
  now: Instant,
): RegionOutlook {
  const { calls, load, state, table, times } = context;
  const { models, work, fit } = question;
  const { paths } = calls;
  const model = modelOf(context, peer, models);
  const measuredMs = paths.rttMs(peer.name);
  const rttMs = measuredMs ?? estimatedRttMs(kmBetween(table().place, peer.place));
  // Synthetic requests keep connections open on every way that they have measured.
  const wayMs = netMs(rttMs, measuredMs !== undefined);
  const digest = state.pool(peer.name, model, now);
  const queueMs = remoteQueueMs({
    toldMs: paths.queueMs(peer.name, model),
    toldAgeMs: paths.toldAgeMs(peer.name, model, now),
    pendingTokens: digest?.pending,
    demandTokens: digest?.demand ?? 0,
    capacityTokens: digest?.capacity,
    digestAgeMs: digest?.ageMs ?? Number.POSITIVE_INFINITY,
  });
  // What the region told is some seconds old: what was sent there since stands before the request, too.
  const sentTokens = peer.candidates.reduce((sum, each) => sum + load.awaitedTokens(each.slot), 0);
  const sentMs = (fit.msPerToken * Math.max(0, sentTokens)) / Math.max(1, digest?.available ?? 1);
  const plainMs = wayMs + idleFirstTokenMs(fit, work.promptTokens);
  const slot = peer.candidates[0]?.slot ?? 0;
  const queueErrorMs = queueMs === undefined ? untestedErrorMs(plainMs) : 0;
  const errorMs = times.errorMs(slot, plainMs, now) + queueErrorMs;
  const waitMs = Math.max(queueMs ?? 0, sentMs);
  const parts = { netMs: wayMs, queueMs: waitMs, fit, tokens: work.promptTokens, errorMs };
  return {
    peer,
    name: peer.name,
    state: state.region(peer.name, models, now),
    firstTokenMs: expectedFirstTokenMs(parts),
    queueMs: waitMs,
    errorMs,
    isOpen: !paths.isFailing(peer.name, now),
  };
}

/** A word on headroom that is older says nothing of now: each region is asked every 2 s. */
const headroomFreshMs = 6_000;

/**
 * The region table, or the region's own fresh word that it has room, lets one more request go there. The word counts beside
 * the table, whose capacities are estimates and lag behind: the region is asked every 2 s, and refuses on arrival what it
 * has no room for after all.
 */
export function mayGo(context: PlanContext, region: string, model: string, now: Instant): boolean {
  const { calls, sentAway, state } = context;
  const { paths } = calls;
  const share = state.outflowShare(model, region, now);
  const isFresh = paths.toldAgeMs(region, model, now) <= headroomFreshMs;
  const headroom = isFresh ? paths.headroom(region, model) : undefined;
  if (share === undefined) return headroom === undefined || headroom > 0;
  if ((headroom ?? 0) > 0) return true;
  return sentAway.mayGo(model, region, share + lostShare(context, model, now), now);
}

/**
 * What the table grants to regions whose way fails from here: no control plane sees that, and it would be granted to the
 * others. Whether they have room for it they say themselves, on arrival.
 */
function lostShare({ calls, state, table }: PlanContext, model: string, now: Instant): number {
  let lost = 0;
  for (const { name } of table().peers) {
    if (calls.paths.isFailing(name, now)) lost += state.outflowShare(model, name, now) ?? 0;
  }
  return lost;
}

/** The first that the region serves. */
function modelOf({ table }: PlanContext, peer: PeerRegion, models: readonly string[]): string {
  const { regionsByModel } = table();
  const served = models.find((each) => regionsByModel.get(each)?.has(peer.name) === true);
  return served ?? models[0] ?? "";
}
