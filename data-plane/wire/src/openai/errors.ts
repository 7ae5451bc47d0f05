// Errors in OpenAI's shape: {"error":{"message","type","param","code"}} with all four keys.

import type { Problem } from "@meridian/proto/base";
import { asciiJson, type ByteText } from "../byte-text.ts";
import type { ClientError, ErrorClass, RenderedError } from "../protocol.ts";

type Words = { readonly status: number; readonly type: string; readonly code: string | null };

/** Status, type and code by class. Where the code is null the problem's own code is shown. */
const words: { readonly [K in ErrorClass]: Words } = {
  "invalid-request": { status: 400, type: "invalid_request_error", code: null },
  "unsupported-media": { status: 415, type: "invalid_request_error", code: null },
  authentication: { status: 401, type: "invalid_request_error", code: "invalid_api_key" },
  permission: { status: 403, type: "permission_error", code: null },
  "not-found": { status: 404, type: "invalid_request_error", code: null },
  "method-not-allowed": { status: 405, type: "invalid_request_error", code: null },
  "model-not-found": { status: 404, type: "invalid_request_error", code: "model_not_found" },
  "too-large": { status: 413, type: "invalid_request_error", code: "request_too_large" },
  "rate-limited": { status: 429, type: "rate_limit_exceeded", code: "rate_limit_exceeded" },
  internal: { status: 500, type: "server_error", code: "internal_error" },
  "bad-upstream": { status: 502, type: "server_error", code: "upstream_error" },
  overloaded: { status: 503, type: "server_error", code: "overloaded" },
  timeout: { status: 504, type: "server_error", code: "timeout" },
};

export function renderError(error: ClientError): RenderedError {
  const { status, type, code } = words[error.class];
  return {
    status,
    headers: { "content-type": "application/json; charset=utf-8", ...retryHeaders(error) },
    body: asciiJson(errorBody(error, type, code ?? error.problems[0]?.code ?? null)),
  };
}

/**
 * `[DONE]` does not follow: nothing may take this for a proper end. The status has been sent by then, so the code says
 * what befell the stream rather than which status would have fitted.
 */
export function renderStreamError(error: ClientError): ByteText {
  const { type, code } = words[error.class];
  return `data: ${asciiJson(errorBody(error, type, error.problems[0]?.code ?? code))}\n\n`;
}

function errorBody(error: ClientError, type: string, code: string | null): object {
  const first = error.problems[0];
  return {
    error: {
      message: error.problems.map(sentence).join("; "),
      type,
      param: first === undefined || first.path === "" ? null : first.path,
      code,
    },
  };
}

function sentence(problem: Problem): string {
  const place = problem.path === "" ? "" : `${problem.path}: `;
  return `${place}${problem.message}${problem.hint === "" ? "" : ` (${problem.hint})`}`;
}

/** Seconds for everybody, milliseconds for the official clients, which retry 503 and 429 by themselves. */
function retryHeaders(error: ClientError): { readonly [name: string]: string } {
  if (error.retryAfterMs === undefined) return {};
  return {
    "retry-after": String(Math.max(1, Math.ceil(error.retryAfterMs / 1_000))),
    "retry-after-ms": String(Math.ceil(error.retryAfterMs)),
  };
}
