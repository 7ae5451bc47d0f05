// Failures of an upstream: whose fault, whether another may do better, what they say about its health.

import { assertNever } from "@meridian/proto/base";

/** What went wrong with one call. */
export type FailureKind =
  /** Refused, unreachable, no such host, TLS: nothing was sent. */
  | "connect"
  | "connect-timeout"
  /** The connection died before any answer. */
  | "no-answer"
  /** The connection died within the answer. */
  | "reset"
  /** The answer ended without the sign by which its protocol ends. */
  | "truncated"
  /** A status that is the target's fault; see `status`. */
  | "status"
  /** 429, or 503 with Retry-After: works, but has no room. */
  | "saturated"
  /** An error inside a 200. */
  | "error-frame"
  /** A proper end without any content. */
  | "empty"
  /** Wrong content type, broken JSON, a frame beyond the limit. */
  | "malformed"
  | "first-token-timeout"
  | "between-tokens-timeout"
  | "total-timeout"
  /** Another region's proxy took nothing: no backend, full, draining. */
  | "region-refused";

/** One failure, with what the client may be told. The message names no hosts and no secrets. */
export type UpstreamFailure = {
  readonly kind: FailureKind;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly message: string;
};

export function upstreamFailure(
  kind: FailureKind,
  message: string,
  more: { readonly status?: number; readonly retryAfterMs?: number } = {},
): UpstreamFailure {
  return { kind, message, status: more.status, retryAfterMs: more.retryAfterMs };
}

/** What a status of an upstream means before its body is looked at. */
export type StatusVerdict = "answer" | "request-fault" | "target-fault" | "saturated";

/**
 * 2xx answers. 400, 409, 413, 415, 422 are the request's fault: another target would say the same. 401, 402, 403,
 * 404, 405, 408 and everything else say something about this target, so another is asked. 429 says it is full.
 */
export function judgeStatus(status: number, hasRetryAfter: boolean): StatusVerdict {
  if (status >= 200 && status < 300) return "answer";
  if (status === 429 || (status === 503 && hasRetryAfter)) return "saturated";
  const requestFault =
    status === 400 || status === 409 || status === 413 || status === 415 || status === 422;
  return requestFault ? "request-fault" : "target-fault";
}

/** What a failure says about the target's health. */
export type HealthClass = "connect" | "failure" | "none";

/** Saturation, refusals on arrival and the request's own time limit say nothing about health. */
export function healthClass(failure: UpstreamFailure): HealthClass {
  switch (failure.kind) {
    case "connect":
    case "connect-timeout":
    case "no-answer":
      return "connect";
    case "status":
      return (failure.status ?? 500) >= 500 && failure.status !== 501 ? "failure" : "none";
    case "reset":
    case "truncated":
    case "error-frame":
    case "empty":
    case "malformed":
    case "first-token-timeout":
    case "between-tokens-timeout":
      return "failure";
    case "saturated":
    case "total-timeout":
    case "region-refused":
      return "none";
    default:
      return assertNever(failure.kind);
  }
}
