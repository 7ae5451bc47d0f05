import { type DescMessage, toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { refuses } from "../base/index.ts";
import { PolicySchema } from "../gen/meridian/v1/policy_pb.ts";
import { checkDocumentSize, documentBytesMax, parsePolicy } from "./parse-policy.ts";
import { sampleDocument, samplePolicy } from "./sample-policy.ts";

/** `code path` of everything found. */
function findings(document: unknown): readonly string[] {
  const parsed = parsePolicy(document);
  return parsed.kind === "ok" ? [] : parsed.error.map((each) => `${each.code} ${each.path}`);
}

const minimal = {
  regions: [{ name: "eu" }],
  backends: [{ name: "a", region: "eu", url: "http://a", serves: [{ model: "m" }] }],
  models: [{ name: "m" }],
};

test("a document that uses every field is read whole", () => {
  expect(toJson(PolicySchema, samplePolicy())).toEqual(sampleDocument());
});

test.each([
  ["nothing", undefined, "empty_document "],
  ["null", null, "empty_document "],
  ["an empty object", {}, "empty_document "],
  ["a text", "regions", "not_an_object "],
  ["a list", [1], "not_an_object "],
  ["a number", 7, "not_an_object "],
  ["a function", () => 7, "not_an_object "],
  ["a date", Object.assign(new Date(0), { regions: [] }), "not_an_object "],
])("%s is no policy", (_, document, expected) => {
  expect(findings(document)).toEqual([expected]);
});

test.each([
  ["regions", 5, "wrong_type regions"],
  ["regions", [], "missing regions"],
  ["regions", null, "wrong_type regions"],
  ["regions", ["eu"], "wrong_type regions[0]"],
  ["regions", [null], "wrong_type regions[0]"],
  ["regions", [{}], "missing regions[0].name"],
  ["regions", [{ name: "" }], "blank regions[0].name"],
  ["regions", [{ name: " \t" }], "blank regions[0].name"],
  ["regions", [{ name: null }], "wrong_type regions[0].name"],
  ["regions", [{ name: 5 }], "wrong_type regions[0].name"],
  ["regions", [{ name: "a\nb" }], "invalid_text regions[0].name"],
  ["regions", [{ name: "\ud800" }], "invalid_text regions[0].name"],
  ["regions", [{ name: "x".repeat(1_025) }], "too_large regions[0].name"],
  ["regions", [{ name: "eu", location: { lat: 1 } }], "missing regions[0].location.lon"],
  [
    "regions",
    [{ name: "eu", location: { lat: Number.NaN, lon: 0 } }],
    "out_of_range regions[0].location.lat",
  ],
  ["regions", [{ name: "eu", location: [1, 2] }], "wrong_type regions[0].location"],
  ["models", [{ name: "m", continueStreams: "yes" }], "wrong_type models[0].continueStreams"],
  ["models", [{ name: "m", continueStreams: 1 }], "wrong_type models[0].continueStreams"],
  ["regions", new Array(65).fill({ name: "eu" }), "too_large regions"],
  [
    "backends",
    [{ ...minimal.backends[0], protocol: "opnai" }],
    "unknown_word backends[0].protocol",
  ],
  ["backends", [{ ...minimal.backends[0], protocol: 1 }], "unknown_word backends[0].protocol"],
  [
    "backends",
    [{ ...minimal.backends[0], protocol: "PROTOCOL_UNSPECIFIED" }],
    "unknown_word backends[0].protocol",
  ],
  ["backends", [{ ...minimal.backends[0], weigth: 1 }], "unknown_field backends[0].weigth"],
  ["backends", [{ ...minimal.backends[0], weight: "1" }], "wrong_type backends[0].weight"],
  [
    "backends",
    [{ ...minimal.backends[0], capacity: { concurrency: 0 } }],
    "zero backends[0].capacity.concurrency",
  ],
  ["models", [{ name: "m", contextTokens: -1 }], "negative models[0].contextTokens"],
  ["models", [{ name: "m", contextTokens: 1.5 }], "not_whole models[0].contextTokens"],
  ["models", [{ name: "m", contextTokens: 2 ** 32 }], "out_of_range models[0].contextTokens"],
  ["models", [{ name: "m", contextTokens: "8192" }], "wrong_type models[0].contextTokens"],
  ["models", [{ name: "m", context_tokens: 8_192 }], "unknown_field models[0].context_tokens"],
  ["models", [{ name: "m", "a.b": 1 }], 'unknown_field models[0]["a.b"]'],
  ["routes", { name: "r" }, "wrong_type routes"],
  ["routes", [{ name: "r", timeouts: { totalMs: true } }], "wrong_type routes[0].timeouts.totalMs"],
])("%s: %j is refused", (section, value, expected) => {
  expect(findings({ ...minimal, [section]: value })).toEqual([expected]);
});

test("a mistyped field's hint names the one that was meant", () => {
  const hints = (document: unknown) => {
    const parsed = parsePolicy(document);
    return parsed.kind === "err" ? parsed.error.map((each) => each.hint) : [];
  };
  expect(hints({ ...minimal, tennants: [] })).toEqual(["did you mean tenants?"]);
  expect(hints({ ...minimal, routes: [{ name: "r", timeouts: { first_token_ms: 1 } }] })).toEqual([
    "did you mean firstTokenMs?",
  ]);
});

test("all problems are told at once", () => {
  const document = {
    regions: [{ nme: "eu" }],
    backends: [{ name: "", region: 3, url: "http://a", serves: [] }],
    models: [{ name: "m", contextTokens: 0 }],
  };
  expect(findings(document)).toEqual([
    "unknown_field regions[0].nme",
    "missing regions[0].name",
    "blank backends[0].name",
    "wrong_type backends[0].region",
    "missing backends[0].serves",
    "zero models[0].contextTokens",
  ]);
});

test("keys that reach into prototypes are refused, and reach nothing", () => {
  const document: unknown = JSON.parse(
    '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"regions":[{"name":"eu","__proto__":{"endpoint":"x"}}]}',
  );
  expect(findings(document)).toEqual([
    "forbidden_key __proto__",
    "forbidden_key constructor",
    "forbidden_key regions[0].__proto__",
    "missing backends",
    "missing models",
  ]);
  expect(Reflect.get({}, "polluted")).toBeUndefined();
});

test("fields that come by a prototype are not read", () => {
  expect(findings(Object.create(minimal))).toEqual(["empty_document "]);
  expect(findings({ ...minimal, regions: [Object.create({ name: "eu" })] })).toEqual([
    "wrong_type regions[0]",
  ]);
});

test("what stands where an object should be is not repeated: it may be a secret", () => {
  const secret = "sk-do-not-tell";
  const parsed = parsePolicy({ ...minimal, tenants: [{ name: "acme", keys: [secret] }] });
  expect(parsed.kind).toBe("err");
  expect(JSON.stringify(parsed)).not.toContain(secret);
});

test("however deep, wide or circular a document is, it is refused in bounded time", () => {
  let deep: unknown = "end";
  for (let level = 0; level < 200_000; level++) deep = level % 2 === 0 ? [deep] : { regions: deep };
  const circle: { regions: unknown[] } = { regions: [] };
  circle.regions.push(circle);
  const wide = Object.fromEntries(Array.from({ length: 300_000 }, (_, at) => [`tenant${at}`, at]));
  for (const document of [deep, { regions: deep }, circle, wide]) {
    const parsed = parsePolicy(document);
    expect(parsed.kind === "err" && refuses(parsed.error)).toBe(true);
    expect(parsed.kind === "err" && parsed.error.length).toBeLessThanOrEqual(1_001);
  }
});

test("of more mistakes than anybody reads the rest are counted", () => {
  const models = new Array(2_000).fill({ name: "" });
  const parsed = parsePolicy({ ...minimal, models });
  const last = parsed.kind === "err" ? parsed.error.at(-1) : undefined;
  expect(last).toMatchObject({ code: "too_many_problems", message: "and 1000 more" });
});

test("a document's size is checked before it is read", () => {
  expect(checkDocumentSize(documentBytesMax)).toBeUndefined();
  expect(checkDocumentSize(10 * 1024 * 1024)).toMatchObject({ code: "too_large", warning: false });
});

test("the schema has only what the walk knows of: no maps, no oneofs, no cycles", () => {
  const enter = (schema: DescMessage, above: readonly string[]): void => {
    expect(above).not.toContain(schema.typeName);
    for (const field of schema.fields) {
      expect(field.fieldKind).not.toBe("map");
      expect(field.oneof).toBeUndefined();
      if (field.message !== undefined) enter(field.message, [...above, schema.typeName]);
    }
  };
  enter(PolicySchema, []);
});
