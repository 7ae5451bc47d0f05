import { expect, test } from "vitest";
import { type FailureKind, healthClass, judgeStatus, upstreamFailure } from "./failure.ts";

test.each([
  [200, false, "answer"],
  [204, false, "answer"],
  [400, false, "request-fault"],
  [409, false, "request-fault"],
  [413, false, "request-fault"],
  [422, false, "request-fault"],
  [401, false, "target-fault"],
  [403, false, "target-fault"],
  [404, false, "target-fault"],
  [408, false, "target-fault"],
  [500, false, "target-fault"],
  [503, false, "target-fault"],
  [301, false, "target-fault"],
  [429, false, "saturated"],
  [429, true, "saturated"],
  [503, true, "saturated"],
])("status %d (Retry-After: %s) is %s", (status, hasRetryAfter, verdict) => {
  expect(judgeStatus(status, hasRetryAfter)).toBe(verdict);
});

test.each<[FailureKind, number | undefined, string]>([
  ["connect", undefined, "connect"],
  ["connect-timeout", undefined, "connect"],
  ["no-answer", undefined, "connect"],
  ["reset", undefined, "failure"],
  ["truncated", undefined, "failure"],
  ["first-token-timeout", undefined, "failure"],
  ["status", 500, "failure"],
  ["status", 501, "none"],
  ["status", 404, "none"],
  ["saturated", 429, "none"],
  ["region-refused", 503, "none"],
  ["total-timeout", undefined, "none"],
])("%s (%s) says about health: %s", (kind, status, expected) => {
  const more = status === undefined ? {} : { status };
  expect(healthClass(upstreamFailure(kind, "x", more))).toBe(expected);
});
