// From a route's time limits and the facts of a request to the budgets of its attempts.

import type { Budgets } from "../attempt/index.ts";
import type { ResolvedRoute } from "../route/index.ts";
import type { RequestFacts } from "./engine.ts";

/** Output tokens per second below which a model server counts as stuck: 10. */
const msPerOutputToken = 100;

/** A request is held at the proxy for so long at most, or for a quarter of its time. Longer, and to wait there is as good. */
const holdMax = { ms: 2_000, share: 0.25 } as const;

/**
 * Streams and embeddings answer soon or not at all. A whole answer takes as long as its tokens; without a limit on
 * them only the total binds. `continuing`: models whose streams may go on from another backend.
 */
export function budgetsFor(
  facts: RequestFacts,
  resolved: ResolvedRoute,
  continuing: ReadonlySet<string>,
): Budgets {
  const { timeouts, attemptsMax, hedge } = resolved.route;
  const inputMs = (facts.inputTokens / 1_000) * timeouts.firstTokenMsPer1kInput;
  const isSoon = answersSoon(facts);
  const outputMs = isSoon
    ? 0
    : (facts.outputTokensMax ?? Number.POSITIVE_INFINITY) * msPerOutputToken;
  const firstTokenMs = timeouts.firstTokenMs + inputMs + outputMs;
  // The head of a whole answer comes with the answer.
  const headersMs = timeouts.headersMs === undefined ? firstTokenMs : timeouts.headersMs + outputMs;
  // A second call, and what follows a break, is the business of the proxy that the client called: it alone knows all.
  const isFirst = facts.arrivedFrom === undefined;
  const totalMs = Math.min(timeouts.totalMs, facts.timeoutMs ?? Number.POSITIVE_INFINITY);
  // Its sender holds it, or has held it: here it is taken at once, or refused.
  const mayHold = isFirst && resolved.route.fallback.includes("local-queue");
  return {
    connectMs: timeouts.connectMs,
    headersMs,
    slowMs: timeouts.slowMs + inputMs + outputMs,
    firstTokenMs,
    betweenTokensMs: timeouts.betweenTokensMs,
    totalMs,
    attempts: attemptsMax,
    hedges: isFirst && isSoon && hedge !== undefined,
    continues: isFirst && facts.stream && facts.continuable && goesOn(resolved, continuing),
    holdMs: mayHold ? Math.min(holdMax.ms, holdMax.share * Math.min(totalMs, firstTokenMs)) : 0,
  };
}

/** How late is late for a whole answer depends on its length, which nobody knows before: it is not hedged. */
function answersSoon(facts: RequestFacts): boolean {
  return facts.stream || facts.kind === "embedding";
}

/** Not on a route over several models: half an answer of one and half of another is nobody's answer. */
function goesOn({ targets }: ResolvedRoute, continuing: ReadonlySet<string>): boolean {
  const [only] = targets;
  return targets.length === 1 && only !== undefined && continuing.has(only.model);
}
