// What is kept of a finished request, as the message that explains it. Nothing in it is a client's or a model's text but
// the names that they gave: an upstream's own words are replaced, as they may quote a prompt.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { AttemptRecord, UpstreamFailure } from "@meridian/data-core/attempt";
import type { Outcome, RequestFacts } from "@meridian/data-core/engine";
import {
  type DecisionAttemptSchema,
  type DecisionFailureSchema,
  type DecisionRecord,
  DecisionRecordSchema,
} from "@meridian/proto/gen/decision_pb";
import type { FinishedExchange } from "../server/index.ts";

/** What a finished request does not say itself. */
export type RecordContext = {
  readonly proxy: string;
  readonly region: string;
  /** Undefined: there was no state frame yet. */
  readonly stateAgeMs: number | undefined;
};

/** The part of a finished request that is explained. */
export type ExplainedExchange = Omit<FinishedExchange, "outcome"> & {
  readonly outcome: ExplainedOutcome | undefined;
};

export type ExplainedOutcome = Omit<Outcome, "facts" | "committedAt"> & {
  readonly facts: Pick<RequestFacts, "model" | "inputTokens">;
};

/** Models are named by clients, at any length. */
export const nameLengthMax = 128;

/** The one conversion; `finished` is not kept by the result. */
export function decisionRecord(
  finished: ExplainedExchange,
  context: RecordContext,
): DecisionRecord {
  const { outcome, firstTokenMs } = finished;
  const { stateAgeMs } = context;
  return create(DecisionRecordSchema, {
    id: finished.decisionId,
    requestId: finished.requestId,
    proxy: context.proxy,
    region: context.region,
    arrivedMs: BigInt(Math.max(0, Math.round(finished.arrivedAtMs))),
    arrivedFrom: finished.arrivedFrom ?? "",
    tenant: finished.tenant.slice(0, nameLengthMax),
    askedModel: outcome?.facts.model.slice(0, nameLengthMax) ?? "",
    model: finished.model,
    route: outcome?.route ?? "",
    kind: finished.kind,
    stream: finished.stream,
    revision: finished.revision,
    ...(stateAgeMs === undefined ? {} : { stateAgeMs: rounded(stateAgeMs) }),
    attempts: outcome?.attempts.map((each) => attemptOf(each, outcome.startedAt)) ?? [],
    ending: finished.ending,
    status: finished.status,
    errorCode: finished.errorCode ?? "",
    cause: causeOf(finished),
    ...(outcome === undefined ? {} : { usage: outcome.usage }),
    answeredBy: finished.region,
    ...(firstTokenMs === undefined ? {} : { firstTokenMs: rounded(firstTokenMs) }),
    durationMs: rounded(finished.durationMs),
    ownMs: rounded(finished.ownMs),
    heldMs: rounded(finished.heldMs),
    shadow: finished.shadow,
    continued: outcome?.attempts.some(hasContinued) ?? false,
    estimatedInputTokens: outcome?.facts.inputTokens ?? 0,
  });
}

function hasContinued({ role, firstTokenAt }: AttemptRecord): boolean {
  return role === "continuation" && firstTokenAt !== undefined;
}

function attemptOf(
  record: AttemptRecord,
  startedAt: number,
): MessageInitShape<typeof DecisionAttemptSchema> {
  const { candidate, considered, failure, headersAt, firstTokenAt, endedAt } = record;
  return {
    attempt: record.attempt,
    target: candidate.name,
    targetKind: candidate.kind,
    region: candidate.region,
    role: record.role,
    reason: record.reason,
    considered: considered.names.map((name, at) => ({ name, score: considered.scores[at] ?? 0 })),
    startedMs: rounded(record.startedAt - startedAt),
    ...(headersAt === undefined ? {} : { headersMs: rounded(headersAt - startedAt) }),
    ...(firstTokenAt === undefined ? {} : { firstTokenMs: rounded(firstTokenAt - startedAt) }),
    ...(endedAt === undefined ? {} : { endedMs: rounded(endedAt - startedAt) }),
    outcome: record.outcome,
    ...(failure === undefined ? {} : { failure: failureOf(failure) }),
    slow: record.slow,
  };
}

function failureOf(failure: UpstreamFailure): MessageInitShape<typeof DecisionFailureSchema> {
  return { kind: failure.kind, status: failure.status ?? 0, message: ownWords(failure) };
}

function causeOf({ outcome }: ExplainedExchange): string {
  const ending = outcome?.ending;
  if (ending?.kind === "broken") return ownWords(ending.failure);
  if (ending?.kind !== "refused") return "";
  const { last, reason } = ending.cause;
  return last === undefined ? reason : `${reason}; the last failure: ${ownWords(last)}`;
}

/** Failures whose message may be the upstream's own. */
function ownWords({ kind, message, status }: UpstreamFailure): string {
  switch (kind) {
    case "error-frame":
      return "the model server reported an error inside its answer";
    case "status":
      return `the model server answered with status ${status ?? "unknown"}`;
    case "saturated":
      return `the model server is full (status ${status ?? "unknown"})`;
    default:
      return message;
  }
}

/** Microseconds are enough. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
