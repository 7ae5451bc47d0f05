import fc from "fast-check";
import { expect, test } from "vitest";
import { asciiJson, decodeUtf8 } from "./byte-text.ts";

test("bytes of any text are decoded back to it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const bytes = Buffer.from(text).toString("latin1");
      expect(decodeUtf8(bytes)).toBe(Buffer.from(text).toString());
    }),
  );
});

test("bytes that are no UTF-8 stay as they are", () => {
  expect(decodeUtf8("a\u00ff%")).toBe("a\u00ff%");
});

test("JSON in ASCII means the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: "binary" }), (value, text) => {
      const json = asciiJson([value, text]);
      expect([...json].every((each) => each < "\u0080")).toBe(true);
      expect(JSON.stringify(JSON.parse(json))).toBe(JSON.stringify([value, text]));
    }),
  );
});
