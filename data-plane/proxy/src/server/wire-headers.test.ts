import { expect, test } from "vitest";
import { readDeadlineMs, readRequestId } from "./wire-headers.ts";

test.each([
  [{ "x-request-timeout-ms": "1500" }, 1_500],
  [{ "grpc-timeout": "5S" }, 5_000],
  [{ "grpc-timeout": "2M" }, 120_000],
  [{ "grpc-timeout": "250m" }, 250],
  [{ "grpc-timeout": "1500u" }, 2],
  [{ "grpc-timeout": "1n" }, 1],
  [{ "grpc-timeout": "1H", "x-request-timeout-ms": "20" }, 20],
  [{ "grpc-timeout": "10m", "x-request-timeout-ms": "20" }, 10],
  [{ "x-request-timeout-ms": "0" }, undefined],
  [{ "x-request-timeout-ms": "-1" }, undefined],
  [{ "x-request-timeout-ms": "1e3" }, undefined],
  [{ "x-request-timeout-ms": "123456789" }, undefined],
  [{ "grpc-timeout": "123456789S" }, undefined],
  [{ "grpc-timeout": "5s" }, undefined],
  [{ "grpc-timeout": "S" }, undefined],
  [{}, undefined],
])("the headers %j give the caller's limit %s", (headers, expected) => {
  expect(readDeadlineMs(headers)).toBe(expected);
});

test.each([
  ["req_1-a.b:c", "req_1-a.b:c"],
  ["", undefined],
  ["a b", undefined],
  ["a\r\nx: y", undefined],
  ["x".repeat(129), undefined],
  [["a", "b"], undefined],
  [undefined, undefined],
])("the client's request id %o is taken as %o", (value, expected) => {
  expect(readRequestId(value)).toBe(expected);
});
