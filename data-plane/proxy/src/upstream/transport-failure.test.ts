import { expect, test } from "vitest";
import { readRetryAfterMs } from "./retry-after.ts";
import { transportFailure } from "./transport-failure.ts";

function errorOf(code: string): Error {
  return Object.assign(new Error("connect ECONNREFUSED 10.0.0.7:8000"), { code });
}

test.each([
  ["unsent", "ECONNREFUSED", "connect"],
  ["unsent", "UND_ERR_CONNECT_TIMEOUT", "connect-timeout"],
  ["unsent", "ETIMEDOUT", "connect-timeout"],
  ["unsent", "EHOSTUNREACH", "connect"],
  ["unsent", "ENOTFOUND", "dns"],
  ["unsent", "EAI_AGAIN", "dns"],
  ["unsent", "CERT_HAS_EXPIRED", "tls"],
  ["unsent", "DEPTH_ZERO_SELF_SIGNED_CERT", "tls"],
  ["unsent", "ERR_SSL_WRONG_VERSION_NUMBER", "tls"],
  ["sent", "ECONNRESET", "no-answer"],
  ["answering", "UND_ERR_SOCKET", "reset"],
] as const)("%s and %s is a failure of kind %s, and names no host", (progress, code, kind) => {
  const failure = transportFailure(progress, errorOf(code));
  expect(failure.kind).toBe(kind);
  expect(failure.message).not.toContain("10.0.0.7");
});

test("a code that is no code is not shown", () => {
  expect(transportFailure("sent", errorOf("see http://10.0.0.7")).message).toContain("unknown");
});

test.each([
  ["7", 7_000],
  ["0.5", 500],
  ["Wed, 21 Oct 2026 07:28:00 GMT", undefined],
  ["-1", undefined],
  [undefined, undefined],
])("Retry-After %o is %o", (value, expected) => {
  expect(readRetryAfterMs(value)).toBe(expected);
});
