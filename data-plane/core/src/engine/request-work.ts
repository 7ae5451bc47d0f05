// What a request adds to a backend: reckoned before it is sent, put right when it has ended.

import type { Instant } from "@meridian/proto/base";
import { type AttemptRecord, isUnsent } from "../attempt/index.ts";
import type { BackendBuckets, Work } from "../balance/index.ts";
import type { WaitKind } from "../health/index.ts";
import type { ResolvedRoute } from "../route/index.ts";
import type { Outcome, RequestFacts } from "./engine.ts";
import type { Table } from "./table.ts";

/** Output that a request without a limit is expected to have. */
const outputTokensGuess = 256;

/** A limit that a client names is no promise to use it, and the load table counts in 32 bits. */
const tokensMax = 1_000_000;

export function workOf({ inputTokens, outputTokensMax }: RequestFacts): Work {
  const tokens = Math.min(tokensMax, inputTokens + (outputTokensMax ?? outputTokensGuess));
  return { tokens, promptTokens: Math.min(tokens, inputTokens) };
}

/** undefined: a whole answer, whose time depends on its length, which nobody knows before. */
export function waitKindOf({ kind, stream }: RequestFacts): WaitKind | undefined {
  if (kind === "embedding") return "embedding";
  return stream ? "stream" : undefined;
}

/** What tells how much of the reckoned work was done. */
export type SettledWork = Pick<Outcome, "facts" | "attempts" | "usage">;

/** The first token that the route promises; without a promise, what counts as slow. */
export function promisedMs({ facts, resolved }: PromisedRequest): number {
  const { objectiveFirstTokenMs, timeouts } = resolved.route;
  const inputMs = (facts.inputTokens / 1_000) * timeouts.firstTokenMsPer1kInput;
  return objectiveFirstTokenMs ?? timeouts.slowMs + inputMs;
}

type PromisedRequest = { readonly facts: RequestFacts; readonly resolved: ResolvedRoute };

/**
 * What the policy declares for a backend is for the whole region: each of its proxies takes an equal part. Clients are
 * spread over proxies by their number, so that parts of one size fit, roughly.
 */
export function limitBuckets(
  buckets: BackendBuckets,
  { pools }: Pick<Table, "pools">,
  proxies: number,
): void {
  const partOf = (limit: number | undefined) => (limit === undefined ? undefined : limit / proxies);
  for (const { slots, capacities } of pools.values()) {
    for (const [place, slot] of slots.entries()) {
      const { requestsPerMinute, tokensPerMinute } = capacities[place] ?? {};
      buckets.setLimits(slot, {
        requestsPerMinute: partOf(requestsPerMinute),
        tokensPerMinute: partOf(tokensPerMinute),
      });
    }
  }
}

/** Gives back to the backends' buckets what their calls did not use. Once for each request, after its last call. */
export function settleBuckets(buckets: BackendBuckets, outcome: SettledWork, now: Instant): void {
  const work = workOf(outcome.facts);
  for (const record of outcome.attempts) {
    if (record.candidate.kind !== "backend") continue;
    buckets.settle(record.candidate.slot, work.tokens, usedBy(record, outcome, work), now);
  }
}

/** Of a call that was cut nobody says what it used: its prompt at least. */
function usedBy({ failure, outcome }: AttemptRecord, { usage }: SettledWork, work: Work): number {
  if (outcome === "complete") return usage.inputTokens + usage.outputTokens;
  if (outcome === "rejected") return 0;
  const isUntouched = failure !== undefined && (isUnsent(failure) || failure.kind === "saturated");
  return isUntouched ? 0 : work.promptTokens;
}
