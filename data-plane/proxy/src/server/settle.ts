// The end of every exchange: the engine learns what was used, metrics and the log learn how it ended. Once.

import type { AttemptRecord, Ending } from "@meridian/data-core/attempt";
import type { Outcome, Usage } from "@meridian/data-core/engine";
import type { FinishedExchange } from "./data-server-options.ts";
import type { Exchange } from "./exchange.ts";

/** What nginx logs for a client that left before its answer. */
const clientGoneStatus = 499;

export function settle(exchange: Exchange): void {
  const { context } = exchange;
  const now = context.clock.now();
  const outcome = outcomeOf(exchange);
  if (outcome !== undefined) context.engine.observe(outcome, now);
  context.deadlines.unwatch(exchange);
  const finished = finishedExchange(exchange, outcome, now);
  // No client has asked a synthetic one, so it is none of theirs.
  if (!exchange.arrival.isSynthetic) context.metrics.finished(finished);
  context.decisions.record(finished);
  if (finished.ending === "broken" || (finished.ending === "refused" && finished.status >= 500)) {
    context.logger.warn(logFields(finished), "request not answered");
  }
  exchange.leave();
}

function outcomeOf(exchange: Exchange): Outcome | undefined {
  const { attempts, ending, facts, route, startedAt, committedAt } = exchange;
  if (attempts === undefined || ending === undefined || facts === undefined) return undefined;
  const usage = usageOf(exchange, ending);
  return { facts, route, ending, attempts: attempts.records(), usage, startedAt, committedAt };
}

/** Nobody is charged for an answer that nobody got. */
const nothingUsed: Usage = { inputTokens: 0, outputTokens: 0, exact: true };

/**
 * What the request used, told or estimated; of an answer that went on elsewhere both parts together, of a hedged one the
 * call that answered alone.
 */
function usageOf({ call, facts }: Exchange, ending: Ending): Usage {
  if (ending.kind === "refused" || ending.kind === "rejected") return nothingUsed;
  if (call === undefined || !call.wasSent) return nothingUsed;
  const told = call.usage ?? call.tap?.usage;
  if (told !== undefined) return { ...told, exact: true };
  const inputTokens = facts?.inputTokens ?? 0;
  return { inputTokens, outputTokens: call.tap?.contentEvents ?? call.rawTokens(), exact: false };
}

function finishedExchange(
  exchange: Exchange,
  outcome: Outcome | undefined,
  now: number,
): FinishedExchange {
  const { answer, arrival, call, committedAt, decoded, ending, startedAt } = exchange;
  const kind = ending?.kind ?? "refused";
  const answered = kind === "complete" || kind === "rejected" || kind === "broken";
  return {
    requestId: arrival.requestId,
    decisionId: arrival.decisionId,
    arrivedAtMs: exchange.context.clock.wall() - (now - startedAt),
    revision: exchange.context.engine.serving()?.revision ?? "none",
    ownMs: exchange.timing.ownMs,
    heldMs: exchange.attempts?.heldMs(now) ?? 0,
    errorCode: exchange.errorCode,
    shadow: exchange.shadow,
    kind: arrival.kind,
    tenant: exchange.tenant,
    model: exchange.model,
    stream: decoded?.stream ?? false,
    status: kind === "client-gone" ? clientGoneStatus : answer.status,
    ending: kind,
    region: answered ? (call?.candidate.region ?? "") : "",
    arrivedFrom: arrival.arrivedFrom,
    durationMs: now - startedAt,
    firstTokenMs: committedAt === undefined ? undefined : committedAt - startedAt,
    outcome,
  };
}

/** Names and kinds only: no prompt, no key, no text of an answer. */
function logFields(finished: FinishedExchange): object {
  const { requestId, tenant, model, status, ending, durationMs, outcome } = finished;
  const attempts = outcome?.attempts.map(attemptFields) ?? [];
  return { requestId, tenant, model, status, ending, durationMs: Math.round(durationMs), attempts };
}

function attemptFields(record: AttemptRecord): object {
  const { candidate, failure, outcome, reason } = record;
  return {
    target: candidate.name,
    outcome,
    failure: failure?.kind,
    status: failure?.status,
    reason,
  };
}
