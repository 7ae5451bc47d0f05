import { expect, test } from "vitest";
import { encodeModel, readDeadlineMs, readHopHead, readRequestId } from "./wire-headers.ts";

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

test.each([
  ["llama-70b", "llama-70b"],
  ["meta/Llama 3 ü", "meta%2FLlama%203%20%C3%BC"],
  ["a\r\nx: y", "a%0D%0Ax%3A%20y"],
  ["\ud800", undefined],
  ["x".repeat(257), undefined],
])("the model %j is told to other regions as %s", (model, told) => {
  expect(encodeModel(model)).toBe(told);
  if (told === undefined) return;
  const headers = {
    "x-meridian-model": told,
    "x-meridian-tokens": "9",
    "x-meridian-queue-max-ms": "0",
  };
  expect(readHopHead(headers)).toEqual({ model, tokens: 9, queueMaxMs: 0 });
});

test.each([
  {},
  { "x-meridian-model": "m", "x-meridian-tokens": "9" },
  { "x-meridian-model": "m", "x-meridian-queue-max-ms": "9" },
  { "x-meridian-tokens": "9", "x-meridian-queue-max-ms": "9" },
  { "x-meridian-model": "%zz", "x-meridian-tokens": "9", "x-meridian-queue-max-ms": "9" },
  { "x-meridian-model": "m", "x-meridian-tokens": "-9", "x-meridian-queue-max-ms": "9" },
  { "x-meridian-model": "m", "x-meridian-tokens": "9", "x-meridian-queue-max-ms": "1e3" },
])("a head of %j refuses nothing before the body has come", (headers) => {
  expect(readHopHead(headers)).toBeUndefined();
});
