import { expect, test } from "vitest";
import { readRequestId, readTimeoutMs } from "./wire-headers.ts";

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
  ["1500", 1_500],
  ["0", undefined],
  ["-1", undefined],
  ["1.5", undefined],
  ["123456789", undefined],
  ["soon", undefined],
  [undefined, undefined],
])("the client's timeout %o is taken as %o", (value, expected) => {
  expect(readTimeoutMs(value)).toBe(expected);
});
