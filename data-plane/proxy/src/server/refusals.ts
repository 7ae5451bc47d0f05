// From the engine's reasons and the last failure of an upstream to what the client is told.

import type { AttemptRecord, RefusalCause, UpstreamFailure } from "@meridian/data-core/attempt";
import type { Refusal, RefusalReason } from "@meridian/data-core/engine";
import { assertNever, type Problem, problem } from "@meridian/proto/base";
import type { ClientError, ErrorClass } from "@meridian/wire";

const classByReason: { readonly [K in RefusalReason]: ErrorClass } = {
  "not-ready": "overloaded",
  "unknown-model": "model-not-found",
  "unknown-tenant": "permission",
  residency: "permission",
  "no-backend": "overloaded",
  "region-full": "overloaded",
};

/** How long clients wait before they ask again when there is no better figure. */
const retryAfterMs = 1_000;

export function refusalError(refusal: Refusal): ClientError {
  return {
    class: classByReason[refusal.reason],
    problems: [refusal.problem],
    retryAfterMs: refusal.retryAfterMs,
  };
}

export function clientError(kind: ErrorClass, problems: readonly Problem[]): ClientError {
  const canRetry = kind === "overloaded" || kind === "rate-limited";
  return { class: kind, problems, retryAfterMs: canRetry ? retryAfterMs : undefined };
}

/** Nobody answered: the class follows the last failure, the message tells what was tried. */
export function exhaustedError(
  cause: RefusalCause,
  records: readonly AttemptRecord[],
): ClientError {
  const { last } = cause;
  const tried = records.map(
    ({ candidate, failure, outcome }) => `${candidate.region}/${failure?.kind ?? outcome}`,
  );
  const reason = last === undefined ? cause.reason : last.message;
  const hint = tried.length === 0 ? "nothing could be tried" : `tried ${tried.join(", ")}`;
  const kind = last === undefined ? "overloaded" : failureClass(last);
  return {
    class: kind,
    problems: [problem(problemCode(kind), "", `nobody could answer: ${reason}`, hint)],
    retryAfterMs:
      cause.retryAfterMs ??
      last?.retryAfterMs ??
      (kind === "bad-upstream" ? undefined : retryAfterMs),
  };
}

/** For the error frame of a stream that broke. */
export function brokenError(failure: UpstreamFailure): ClientError {
  const kind = failure.kind === "total-timeout" ? "timeout" : "bad-upstream";
  return {
    class: kind,
    problems: [problem("stream_broken", "", `the answer is not complete: ${failure.message}`)],
    retryAfterMs: undefined,
  };
}

function failureClass(failure: UpstreamFailure): ErrorClass {
  switch (failure.kind) {
    case "connect":
    case "connect-timeout":
    case "dns":
    case "tls":
    case "no-answer":
    case "region-refused":
      return "overloaded";
    case "saturated":
      return failure.status === 429 ? "rate-limited" : "overloaded";
    case "headers-timeout":
    case "first-token-timeout":
    case "between-tokens-timeout":
    case "total-timeout":
      return "timeout";
    case "reset":
    case "truncated":
    case "status":
    case "error-frame":
    case "empty":
    case "malformed":
      return "bad-upstream";
    default:
      return assertNever(failure.kind);
  }
}

function problemCode(kind: ErrorClass): string {
  if (kind === "timeout") return "timeout";
  return kind === "bad-upstream" ? "upstream_error" : "no_backend";
}
