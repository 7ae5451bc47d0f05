// Failures of an upstream, in one table: whose fault, whether another may do better, what it costs, what it says about
// health. docs/errors.md shows the same table; a test holds both together.

/** What went wrong with one call. */
export type FailureKind =
  /** Refused or unreachable: nothing was sent. */
  | "connect"
  | "connect-timeout"
  /** The host's name leads nowhere: nothing was sent. */
  | "dns"
  /** No secure connection came about: nothing was sent. */
  | "tls"
  /** The connection died before any answer. */
  | "no-answer"
  /** The connection died within the answer. */
  | "reset"
  /** The answer ended without the sign by which its protocol ends. */
  | "truncated"
  /** A status that is the target's fault; see `status`. */
  | "status"
  /** 429, 529, or 503 with Retry-After: works, but has no room. */
  | "saturated"
  /** An error inside a 200. */
  | "error-frame"
  /** A proper end without any content. */
  | "empty"
  /** Wrong content type, broken JSON, a frame beyond the limit. */
  | "malformed"
  | "headers-timeout"
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
 * 2xx answers. 400, 409, 413, 415, 422 are the request's fault, unless the body says that the target lacks the model:
 * another would say the same. 429 and 529 say that the target is full, 503 with Retry-After as well. Everything else
 * says something about this target, so another is asked.
 */
export function judgeStatus(status: number, hasRetryAfter: boolean): StatusVerdict {
  if (status >= 200 && status < 300) return "answer";
  if (status === 429 || status === 529 || (status === 503 && hasRetryAfter)) return "saturated";
  const requestFault =
    status === 400 || status === 409 || status === 413 || status === 415 || status === 422;
  return requestFault ? "request-fault" : "target-fault";
}

/** What a failure says about the target's health. */
export type HealthClass = "connect" | "failure" | "none";

/** What follows from a failure. */
export type FailureRule = {
  /** "nobody": the request's own time is over. */
  readonly fault: "target" | "network" | "saturation" | "nobody";
  /** Another target is likely to do better, and is asked while nothing has reached the client. */
  readonly retried: boolean;
  /** The call that follows is taken from the retry budget. Not where nothing was sent, or refused at the door. */
  readonly spends: boolean;
  /** A stream that broke like this may go on from another target. */
  readonly continued: boolean;
  readonly health: HealthClass;
};

/** Rows of the table: a status is judged by its number, everything else by its kind. */
export type FailureClass =
  | Exclude<FailureKind, "status">
  | "status-credentials"
  | "status-not-served"
  | "status-unsupported"
  | "status-server"
  | "status-other";

const unsent: FailureRule = {
  fault: "network",
  retried: true,
  spends: false,
  continued: true,
  health: "connect",
};
const broken: FailureRule = {
  fault: "target",
  retried: true,
  spends: true,
  continued: true,
  health: "failure",
};
const harmless: FailureRule = { ...broken, health: "none" };

/** The table of docs/errors.md. */
export const failureRules: { readonly [K in FailureClass]: FailureRule } = {
  connect: unsent,
  "connect-timeout": unsent,
  dns: unsent,
  tls: unsent,
  "no-answer": { ...unsent, spends: true },
  reset: { ...broken, fault: "network" },
  truncated: broken,
  "error-frame": broken,
  empty: broken,
  malformed: broken,
  "headers-timeout": broken,
  "first-token-timeout": broken,
  "between-tokens-timeout": broken,
  saturated: { ...harmless, fault: "saturation" },
  "region-refused": { ...harmless, fault: "saturation", spends: false },
  "total-timeout": {
    fault: "nobody",
    retried: false,
    spends: false,
    continued: false,
    health: "none",
  },
  // The target is set up wrongly: no client can cause it, and each request that goes there is lost. It is refused at the
  // door, though: however many there are, asking another multiplies no work.
  "status-credentials": { ...broken, spends: false },
  // A client may cause these, by asking a chat model for an embedding: they must not open anybody's breaker.
  "status-not-served": { ...harmless, spends: false },
  "status-unsupported": { ...harmless, spends: false },
  "status-server": broken,
  "status-other": harmless,
};

export function classOf(failure: UpstreamFailure): FailureClass {
  if (failure.kind !== "status") return failure.kind;
  const status = failure.status ?? 500;
  if (status === 401 || status === 402 || status === 403) return "status-credentials";
  if (status === 400 || status === 404 || status === 410) return "status-not-served";
  if (status === 405 || status === 501) return "status-unsupported";
  return status >= 500 ? "status-server" : "status-other";
}

export function ruleOf(failure: UpstreamFailure): FailureRule {
  return failureRules[classOf(failure)];
}

export function healthClass(failure: UpstreamFailure): HealthClass {
  return ruleOf(failure).health;
}

/** No connection came about: the target has not seen the request. */
export function isUnsent({ kind }: UpstreamFailure): boolean {
  return kind === "connect" || kind === "connect-timeout" || kind === "dns" || kind === "tls";
}
