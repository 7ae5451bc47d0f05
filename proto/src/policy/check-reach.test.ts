import { expect, test } from "vitest";
import { findingsWith, plainDocument } from "./sample-policy.ts";

const { regions, backends } = plainDocument();
const [usA, euA] = backends;
const tenant = (name: string, digit: string) => ({ name, keys: [{ sha256: digit.repeat(64) }] });

test.each<[string, object, readonly string[]]>([
  ["no tenants at all", { tenants: [] }, ["open_access? tenants"]],
  ["a tenant without a key", { tenants: [{ name: "acme" }] }, ["no_keys? tenants[0].keys"]],
  [
    "a tenant bound to where only some models are served",
    { tenants: [{ ...tenant("acme", "a"), residency: ["us"] }] },
    ["residency_unserved? tenants[0].residency"],
  ],
  [
    "a region that others can't send to",
    { regions: [regions[0], { name: "eu" }] },
    ["no_peers? regions[1].peers"],
  ],
  [
    "a region without backends",
    {
      backends: [
        {
          ...usA,
          serves: [{ model: "big" }, { model: "small" }],
        },
      ],
    },
    ["region_without_backends? regions[1]"],
  ],
  [
    "one server as two backends",
    { backends: [usA, euA, { ...usA, name: "us-b", url: "http://us-a:1/" }] },
    ["duplicate_url? backends[2].url"],
  ],
  [
    "a pattern that fits nothing",
    { routes: [{ name: "all", match: { models: ["*", "gpt-*", "bigg"] } }] },
    ["matches_nothing? routes[0].match.models[1]", "matches_nothing? routes[0].match.models[2]"],
  ],
  [
    "a model that no route leads to",
    { routes: [{ name: "one", match: { models: ["big"] } }] },
    ["unrouted_model? models[1]"],
  ],
  [
    "a route behind one that takes everything",
    { routes: [{ name: "all" }, { name: "late", match: { models: ["big"] } }] },
    ["shadowed_route? routes[1]"],
  ],
  [
    "a route behind one with a broader pattern",
    {
      routes: [
        { name: "b", match: { models: ["b*"] } },
        { name: "big", match: { models: ["big*"], tenants: ["acme"] } },
        { name: "all" },
      ],
    },
    ["shadowed_route? routes[1]"],
  ],
  [
    "a route behind one that asks for less of the same header",
    {
      routes: [
        { name: "a", match: { headers: [{ name: "x-team", value: "b*" }] } },
        {
          name: "b",
          match: {
            headers: [
              { name: "X-Team", value: "blue" },
              { name: "x-tier", value: "gold" },
            ],
          },
        },
        { name: "all" },
      ],
    },
    ["shadowed_route? routes[1]"],
  ],
  [
    "a route behind one of the same path and language",
    {
      routes: [
        { name: "a", match: { paths: ["/v1/*"], protocols: ["openai"] } },
        { name: "b", match: { paths: ["/v1/embeddings"], protocols: ["openai"] } },
        { name: "all" },
      ],
    },
    ["shadowed_route? routes[1]"],
  ],
])("%s is a warning", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});

test.each<[string, object]>([
  [
    "a route of one tenant before the same for all",
    {
      routes: [
        { name: "acme", match: { models: ["*"], tenants: ["acme"] } },
        { name: "all", match: { models: ["*"] } },
      ],
    },
  ],
  [
    "a narrow pattern before a broad one",
    { routes: [{ name: "big", match: { models: ["big"] } }, { name: "all" }] },
  ],
  [
    "a model that only another degrades to, or only a target names",
    {
      routes: [
        {
          name: "one",
          match: { models: ["big"] },
          targets: [{ model: "big" }, { model: "small" }],
        },
      ],
    },
  ],
  [
    "weights of 0 beside others",
    { routes: [{ name: "all", targets: [{ model: "big" }, { model: "small", weight: 0 }] }] },
  ],
  [
    "a route behind one that asks for more",
    {
      routes: [
        { name: "a", match: { headers: [{ name: "x-team", value: "blue" }] } },
        { name: "b", match: { headers: [{ name: "x-team", value: "b*" }] } },
        { name: "c", match: { paths: ["/v1/embeddings"] } },
        { name: "d", match: { paths: ["/v1/*"] } },
        { name: "e", match: { protocols: ["openai"] } },
        { name: "all" },
      ],
    },
  ],
  ["an alias in a match", { routes: [{ name: "all", match: { models: ["default", "small"] } }] }],
])("%s is fine", (_, change) => {
  expect(findingsWith(change)).toEqual([]);
});
