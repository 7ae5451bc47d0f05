import { expect, test } from "vitest";
import { findingsWith } from "./sample-policy.ts";

const matching = (match: object) => ({ routes: [{ name: "all", match }, { name: "rest" }] });
const header = (name: string, value = "x") => matching({ headers: [{ name, value }] });

test.each<[string, object, readonly string[]]>([
  ["no name of a header", header("x team"), ["invalid_header routes[0].match.headers[0].name"]],
  [
    "a header of a credential",
    header("Authorization"),
    ["secret_header routes[0].match.headers[0].name"],
  ],
  ["a cookie", header("cookie", "*a=b*"), ["secret_header routes[0].match.headers[0].name"]],
  [
    "a header of our own",
    header("X-Meridian-Tenant"),
    ["reserved_header routes[0].match.headers[0].name"],
  ],
  [
    "a header of the connection",
    header("transfer-encoding"),
    ["reserved_header routes[0].match.headers[0].name"],
  ],
  [
    "a value that no header can have",
    header("x-team", "größe"),
    ["invalid_text routes[0].match.headers[0].value"],
  ],
  [
    "a value with space around it",
    header("x-team", " a"),
    ["invalid_text routes[0].match.headers[0].value"],
  ],
  [
    "a header named twice with one value",
    matching({
      headers: [
        { name: "x-team", value: "a" },
        { name: "X-Team", value: "a" },
      ],
    }),
    ["duplicate routes[0].match.headers[1]"],
  ],
  [
    "no path",
    matching({ paths: ["v1/embeddings"] }),
    ["invalid_text routes[0].match.paths[0]", "matches_nothing? routes[0].match.paths[0]"],
  ],
  [
    "a path with a query",
    matching({ paths: ["/v1/embeddings?x"] }),
    ["invalid_text routes[0].match.paths[0]", "matches_nothing? routes[0].match.paths[0]"],
  ],
  ["a path twice", matching({ paths: ["/v1/*", "/v1/*"] }), ["duplicate routes[0].match.paths[1]"]],
  [
    "a language twice",
    matching({ protocols: ["openai", "openai"] }),
    ["duplicate routes[0].match.protocols[1]"],
  ],
  [
    "more headers than a request is read for",
    matching({ headers: Array.from({ length: 33 }, (_, at) => ({ name: `x-${at}`, value: "*" })) }),
    ["too_large routes[0].match.headers"],
  ],
])("%s is refused", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});

test.each<[string, object]>([
  ["a header in any case, with a pattern", header("X-Team", "blue-*")],
  [
    "two patterns of one header",
    matching({
      headers: [
        { name: "a", value: "x*" },
        { name: "a", value: "*y" },
      ],
    }),
  ],
  ["paths", matching({ paths: ["/v1/embeddings", "*/completions", "/v1/*"] })],
  ["a language", matching({ protocols: ["openai"] })],
])("%s is fine", (_, change) => {
  expect(findingsWith(change)).toEqual([]);
});

test.each<[string, object, readonly string[]]>([
  [
    "a path that is not served",
    matching({ paths: ["/v2/*"] }),
    ["matches_nothing? routes[0].match.paths[0]"],
  ],
  [
    "a language that no client may speak yet",
    matching({ protocols: ["openai", "anthropic"] }),
    ["matches_nothing? routes[0].match.protocols[1]"],
  ],
])("%s is a warning", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});

const shadowing = (shadow: object, more: object = {}) => ({
  routes: [{ name: "all", match: { models: ["big"] }, shadow, ...more }, { name: "rest" }],
});

test.each<[string, object, readonly string[]]>([
  [
    "a shadow that is no model",
    shadowing({ model: "bog", percent: 1 }),
    ["dangling_name routes[0].shadow.model"],
  ],
  [
    "more copies than requests",
    shadowing({ model: "small", percent: 101 }),
    ["out_of_range routes[0].shadow.percent"],
  ],
  [
    "a thousand copies at once and more",
    shadowing({ model: "small", percent: 1, concurrency: 1_001 }),
    ["out_of_range routes[0].shadow.concurrency"],
  ],
  [
    "a session by a name that is none",
    shadowing({ model: "small", percent: 1 }, { affinity: { header: "a b" } }),
    ["invalid_header routes[0].affinity.header"],
  ],
  [
    "a session by a name in capitals",
    shadowing({ model: "small", percent: 1 }, { affinity: { header: "X-Session" } }),
    ["invalid_header routes[0].affinity.header"],
  ],
  [
    "a session by a key",
    shadowing({ model: "small", percent: 1 }, { affinity: { header: "x-api-key" } }),
    ["secret_header routes[0].affinity.header"],
  ],
  [
    "a session by a header of ours",
    shadowing({ model: "small", percent: 1 }, { affinity: { header: "x-meridian-from" } }),
    ["reserved_header routes[0].affinity.header"],
  ],
])("%s is refused", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});

test("a shadow of the model that answers is warned of, whether asked for or a target", () => {
  const path = "shadow_of_itself? routes[0].shadow.model";
  expect(findingsWith(shadowing({ model: "big", percent: 1 }))).toEqual([path]);
  const targets = { targets: [{ model: "small" }, { model: "big", weight: 0 }] };
  expect(findingsWith(shadowing({ model: "small", percent: 1 }, targets))).toEqual([path]);
  expect(findingsWith(shadowing({ model: "big", percent: 1 }, targets))).toEqual([]);
});

test("a model that only a shadow names is routed, and a sound shadow and session are fine", () => {
  const only = {
    routes: [
      {
        name: "all",
        match: { models: ["big"] },
        shadow: { model: "small", percent: 100, concurrency: 1_000 },
        affinity: { header: "x-session" },
      },
    ],
  };
  expect(findingsWith(only)).toEqual([]);
});

test.each(["model", "percent"])("a shadow needs its %s", (field) => {
  const { [field]: _, ...shadow }: { [name: string]: unknown } = { model: "small", percent: 5 };
  expect(() => findingsWith(shadowing(shadow))).toThrow("missing");
});
