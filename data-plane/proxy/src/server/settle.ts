// The end of every exchange: the engine learns what was used, metrics and the log learn how it ended. Once.

import type { AttemptRecord } from "@meridian/data-core/attempt";
import type { Outcome } from "@meridian/data-core/engine";
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
  context.metrics.finished(finished);
  context.decisions.record(finished);
  if (finished.ending === "broken" || (finished.ending === "refused" && finished.status >= 500)) {
    context.logger.warn(logFields(finished), "request not answered");
  }
  exchange.leave();
}

function outcomeOf(exchange: Exchange): Outcome | undefined {
  const { attempts, ending, facts, route, startedAt, committedAt } = exchange;
  if (attempts === undefined || ending === undefined || facts === undefined) return undefined;
  const usage = exchange.usage();
  return { facts, route, ending, attempts: attempts.records(), usage, startedAt, committedAt };
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
    errorCode: exchange.errorCode,
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
