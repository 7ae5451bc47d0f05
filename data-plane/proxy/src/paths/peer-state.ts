// What proxies of different regions ask each other beside sending requests on: the paths, and the body of GET /peer/state,
// which tells how a region stands.

import type { ToldPool } from "@meridian/data-core/locality";

export const peerStatePath = "/peer/state";

/** POST: one request of the smallest kind goes to a model server of the region, and back. */
export const peerInferencePath = "/peer/inference";

/** A region's models with a queue or without; more are not read. */
const poolsMax = 2_000;

export type TellingPool = ToldPool & { readonly model: string };

/**
 * @example
 * renderPeerState([{ model: "m", queueMs: 0, headroom: 1_200 }])
 * // '{"pools":[{"model":"m","queueMs":0,"headroom":1200}]}'; no headroom: it can't be told
 */
export function renderPeerState(pools: readonly TellingPool[]): string {
  return JSON.stringify({ pools });
}

/** undefined: it is no such body. Pools that are not told rightly are left out, and what is not known here passed over. */
export function parsePeerState(text: string): readonly TellingPool[] | undefined {
  const value = parse(text);
  if (!isObject(value) || !Array.isArray(value.pools)) return undefined;
  return value.pools.slice(0, poolsMax).flatMap((each: unknown) => {
    if (!isObject(each)) return [];
    const { model, queueMs, headroom } = each;
    if (typeof model !== "string" || !isAmount(queueMs)) return [];
    return [{ model, queueMs, headroom: isAmount(headroom) ? headroom : undefined }];
  });
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === "object" && value !== null;
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the caller is told that it is no such body.
    return undefined;
  }
}
