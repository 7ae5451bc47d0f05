import fc from "fast-check";
import { expect, test } from "vitest";
import { findTopLevel, splice } from "./json-splice.ts";

function rename(text: string, literal = '"new"'): string {
  return splice(text, findTopLevel(text, "model"), literal);
}

test.each([
  ['{"model":"a"}', '{"model":"new"}'],
  [' { "x" : 1 , "model" : "a" , "y":2}', ' { "x" : 1 , "model" : "new" , "y":2}'],
  ['{"model":null,"a":1}', '{"model":"new","a":1}'],
  ['{"model":12 }', '{"model":"new" }'],
  ['{"model":{"model":"x"},"b":[]}', '{"model":"new","b":[]}'],
  ['{"a":{"model":"x"},"model":"y"}', '{"a":{"model":"x"},"model":"new"}'],
  ['{"a":"model","model":"y"}', '{"a":"model","model":"new"}'],
  ['{"a":["model","}"],"model":"y"}', '{"a":["model","}"],"model":"new"}'],
  ['{"a":"\\"model\\":\\"z\\"","model":"y"}', '{"a":"\\"model\\":\\"z\\"","model":"new"}'],
  ['{"model":"a","model":"b"}', '{"model":"new","model":"new"}'],
  ['{"mod\\u0065l":"a"}', '{"mod\\u0065l":"new"}'],
  ['{"a":{"model":1},"\\u006dodel":"b"}', '{"a":{"model":1},"\\u006dodel":"new"}'],
  ['{"model":"a\\\\"}', '{"model":"new"}'],
])("in %s only the model's value is replaced", (text, expected) => {
  expect(rename(text)).toBe(expected);
});

const space = fc.constantFrom("", " ", "\n", "\t ");
const key = fc.oneof(fc.constantFrom("model", "a", "messages", "x y", 'q"', "\\"), fc.string());

/** JSON text with white space of its own, and the value that it stands for. */
const document = fc
  .tuple(fc.array(fc.tuple(key, fc.jsonValue(), space)), fc.string(), fc.nat(), space)
  .map(([fields, model, place, gap]) => {
    const others = fields.filter(([name]) => name !== "model");
    const written = others.map(
      ([name, value, s]) => `${s}${JSON.stringify(name)}${s}:${JSON.stringify(value, null, s)}${s}`,
    );
    const at = place % (written.length + 1);
    const field = `${gap}"model"${gap}:${gap}${JSON.stringify(model)}${gap}`;
    written.splice(at, 0, field);
    return `{${written.join(",")}}`;
  });

test("renaming the model leaves every other byte as it is", () => {
  fc.assert(
    fc.property(document, fc.string(), (text, model) => {
      const literal = JSON.stringify(model);
      const spans = findTopLevel(text, "model");
      expect(spans).toHaveLength(1);
      const { start = 0, end = 0 } = spans[0] ?? {};
      const renamed = splice(text, spans, literal);
      expect(renamed).toBe(text.slice(0, start) + literal + text.slice(end));
      expect(JSON.parse(renamed)).toEqual({ ...JSON.parse(text), model });
    }),
  );
});
