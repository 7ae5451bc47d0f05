// Figures of a run: shares and quantiles of the requests that began within a time, and how long recovery took.

import type { RequestRecord } from "../kernel/request.ts";
import { type Scene, warmUpMs } from "../scene/scene.ts";

/** Seconds from the end of the warm-up. */
export type Span = { readonly from: number; readonly to: number };

export function began(scene: Scene, { from, to }: Span): readonly RequestRecord[] {
  const fromMs = warmUpMs + from * 1_000;
  const toMs = warmUpMs + to * 1_000;
  return scene.world.records.all.filter(({ request }) => request.at >= fromMs && request.at < toMs);
}

/** Of clients that live by a region. */
export function of(region: string, records: readonly RequestRecord[]): readonly RequestRecord[] {
  return records.filter(({ request }) => request.region === `users of ${region}`);
}

/** NaN of nothing: a figure that judges nobody must not pass. */
export function share(
  records: readonly RequestRecord[],
  test: (record: RequestRecord) => boolean,
): number {
  return records.filter(test).length / records.length;
}

export function isComplete({ ending }: RequestRecord): boolean {
  return ending === "complete";
}

export function firstTokenMs(record: RequestRecord): number | undefined {
  return record.firstTokenAt === undefined ? undefined : record.firstTokenAt - record.request.at;
}

/** Of those that got a first token. */
export function firstTokenQuantile(records: readonly RequestRecord[], q: number): number {
  const times = records.flatMap((each) => firstTokenMs(each) ?? []).sort((a, b) => a - b);
  return times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? Number.NaN;
}

/** First token within the promise, and the answer whole. */
export function isGood(record: RequestRecord, objectiveMs: number): boolean {
  return isComplete(record) && (firstTokenMs(record) ?? Number.POSITIVE_INFINITY) <= objectiveMs;
}

/** Seconds with less than this share of good requests count as bad. */
const goodShare = 0.95;
const steadySeconds = 5;

/**
 * Seconds from a moment until requests are good again and stay so for a while; with few requests in a second three are
 * looked at together. Infinity: not within the demand's time.
 */
export function recoveredAfter(
  scene: Scene,
  from: number,
  look: { readonly records?: readonly RequestRecord[]; readonly objectiveMs?: number } = {},
): number {
  const { objectiveMs = scene.options.plan.objectiveMs } = look;
  const records = look.records ?? scene.world.records.all;
  const seconds = Math.floor((scene.options.demandUntilMs - warmUpMs) / 1_000);
  let goodSince: number | undefined;
  for (let second = from; second + 3 <= seconds; second++) {
    const fromMs = warmUpMs + second * 1_000;
    const within = records.filter(
      ({ request }) => request.at >= fromMs && request.at < fromMs + 3_000,
    );
    const isFine = share(within, (each) => isGood(each, objectiveMs)) >= goodShare;
    if (!isFine) goodSince = undefined;
    else goodSince ??= second;
    if (goodSince !== undefined && second - goodSince >= steadySeconds) return goodSince - from;
  }
  return Number.POSITIVE_INFINITY;
}

/** Server names by how many requests they served, of those given. */
export function servedBy(records: readonly RequestRecord[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { servedBy: name } of records) {
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}
