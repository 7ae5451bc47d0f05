// Another region for one request: the one that answers soonest, where the own region is left anyway; or one that gains
// enough over waiting here, and that the region table lets it go to.

import type { Instant } from "@meridian/proto/base";
import type { Candidate, Choice, Considered } from "../attempt/index.ts";
import type { Work } from "../balance/index.ts";
import type { WaitKind } from "../health/index.ts";
import { gainMin, isGain, rankRegions, regionStanding } from "../locality/index.ts";
import { allowsRegion, goesAbroad, type ResolvedRoute } from "../route/index.ts";
import type { RequestFacts } from "./engine.ts";
import { poolFit } from "./local-outlook.ts";
import type { PlanContext } from "./plan-context.ts";
import { mayGo, type RegionOutlook, regionOutlook } from "./region-outlook.ts";
import type { PeerRegion, TenantPlan } from "./table.ts";

export type RemoteQuestion = {
  readonly facts: RequestFacts;
  readonly resolved: ResolvedRoute;
  readonly tenant: TenantPlan;
  /** The model that the request was drawn for: its demand is what the region table bounds. */
  readonly model: string;
  readonly work: Work;
  readonly kind: WaitKind;
  /** Regions that took the request, or might have: each is asked once. */
  readonly asked: ReadonlySet<string>;
  /** Slots that were called already. */
  readonly excluded: readonly number[];
};

/** A region, and how soon it was expected to answer, without the doubt. */
export type RemoteChoice = { readonly choice: Choice; readonly expectedMs: number };

/** What staying here means for a request. */
export type Staying = {
  readonly firstTokenMs: number;
  /** It belongs to a session whose backends are here. */
  readonly isSession: boolean;
};

/** In the decision record a step down in a region's standing weighs more than any time. */
const msPerStanding = { available: 0, unknown: 100_000, exhausted: 200_000 } as const;

/** Regions that this request may still go to: none for one that came from abroad, and only where residency allows. */
export function openRegions(context: PlanContext, question: RemoteQuestion): readonly PeerRegion[] {
  const { facts, resolved, tenant, asked, excluded } = question;
  if (facts.arrivedFrom !== undefined || !goesAbroad(resolved.route)) return [];
  const { peers, regionsByModel } = context.table();
  const open: PeerRegion[] = [];
  for (const peer of peers) {
    if (asked.has(peer.name) || !allowsRegion(tenant.residency, peer.name)) continue;
    const isServed = resolved.targets.some(
      (each) => regionsByModel.get(each.model)?.has(peer.name) === true,
    );
    const candidates = peer.candidates.filter((each) => !excluded.includes(each.slot));
    if (isServed && candidates.length > 0) open.push({ ...peer, candidates });
  }
  return open;
}

/** For a request that leaves: the first by standing and time. It refuses if its queue makes the next one the better. */
export function bestRegion(
  context: PlanContext,
  question: RemoteQuestion,
  now: Instant,
): RemoteChoice | undefined {
  const outlooks = lookAbroad(context, question, now);
  const ranked = rankRegions(outlooks);
  for (const [place, { name, standing }] of ranked.entries()) {
    const outlook = outlooks.find((each) => each.name === name);
    const candidate = pickPeer(context, outlook?.peer.candidates ?? [], now);
    if (outlook === undefined || candidate === undefined) continue;
    const next = ranked[place + 1];
    const reason = `region ${standing}, ${Math.round(outlook.firstTokenMs)} ms`;
    const considered: Considered = {
      names: ranked.map((each) => each.name),
      scores: ranked.map((each) => Math.round(each.firstTokenMs) + msPerStanding[each.standing]),
    };
    const choice = { candidate, reason, considered };
    const expectedMs = outlook.firstTokenMs - outlook.errorMs;
    // Where nobody else is left, a queue of any length is better than nothing.
    if (next === undefined || next.standing !== standing) return { choice, expectedMs };
    const queueMaxMs = queueThatPays(outlook, next.firstTokenMs);
    return { choice: { ...choice, queueMaxMs }, expectedMs };
  }
  return undefined;
}

/** For a request that could stay: only for a gain, within the table's share. undefined: it stays. */
export function gainingRegion(
  context: PlanContext,
  question: RemoteQuestion,
  here: Staying,
  now: Instant,
): RemoteChoice | undefined {
  const outlooks = lookAbroad(context, question, now);
  let best: RegionOutlook | undefined;
  for (const each of outlooks) {
    const standing = regionStanding(each.state);
    if (standing === "draining" || standing === "exhausted") continue;
    if (best !== undefined && each.firstTokenMs >= best.firstTokenMs) continue;
    if (!isGain(here.firstTokenMs, each.firstTokenMs, here.isSession)) continue;
    if (mayGo(context, each.name, question.model, now)) best = each;
  }
  const candidate = pickPeer(context, best?.peer.candidates ?? [], now);
  if (best === undefined || candidate === undefined) return undefined;
  const considered: Considered = {
    names: [context.table().region, ...outlooks.map((each) => each.name)],
    scores: [here.firstTokenMs, ...outlooks.map((each) => each.firstTokenMs)].map(Math.round),
  };
  const share = here.isSession ? gainMin.sessionShare : gainMin.share;
  const mostMs = here.firstTokenMs - Math.max(gainMin.ms, share * here.firstTokenMs);
  const choice = {
    candidate,
    reason: `region ${best.name} gains ${Math.round(here.firstTokenMs - best.firstTokenMs)} ms`,
    considered,
    queueMaxMs: queueThatPays(best, mostMs),
  };
  return { choice, expectedMs: best.firstTokenMs - best.errorMs };
}

/** The queue with which the region would take as long as `limitMs`. */
function queueThatPays({ firstTokenMs, queueMs }: RegionOutlook, limitMs: number): number {
  return Math.max(0, Math.round(limitMs - (firstTokenMs - queueMs)));
}

/** Those whose way works. */
function lookAbroad(
  context: PlanContext,
  question: RemoteQuestion,
  now: Instant,
): readonly RegionOutlook[] {
  const regions = openRegions(context, question);
  if (regions.length === 0) return [];
  const { resolved, work, kind, model } = question;
  const models = resolved.targets.map((each) => each.model);
  const fit = poolFit(context, context.table().pools.get(model), kind);
  const outlooks = regions.map((peer) => regionOutlook(context, peer, { models, work, fit }, now));
  return outlooks.filter((each) => each.isOpen);
}

function pickPeer(
  { health, random }: PlanContext,
  peers: readonly Candidate[],
  now: Instant,
): Candidate | undefined {
  const able = peers.filter((each) => health.share(each.slot, now) > 0);
  return able[able.length > 1 ? random.integer(able.length) : 0];
}
