import { expect, test } from "vitest";
import { findingsWith, plainDocument } from "./sample-policy.ts";

const { backends } = plainDocument();
const [usA, euA] = backends;
const model = (name: string, more: object = {}) => ({ name, ...more });
const tenant = (name: string, digit: string) => ({ name, keys: [{ sha256: digit.repeat(64) }] });

test.each<[string, object, readonly string[]]>([
  [
    "a region's name that no certificate can hold",
    { regions: [...plainDocument().regions, { name: "Asia_1", peers: ["asia:1"] }] },
    [
      "invalid_name regions[2].name",
      "no_location? regions[0].location",
      "no_location? regions[1].location",
      "no_location? regions[2].location",
      "region_without_backends? regions[2]",
    ],
  ],
  ["a route's name with a space", { routes: [{ name: "a b" }] }, ["invalid_name routes[0].name"]],
  [
    "an alias with a wildcard",
    { models: [model("big", { aliases: ["b*"] }), model("small")] },
    ["invalid_name models[0].aliases[0]"],
  ],
  [
    "two backends of one name",
    { backends: [usA, { ...euA, name: "us-a" }] },
    ["duplicate_name backends[1].name"],
  ],
  [
    "two tenants of one name",
    { tenants: [tenant("acme", "a"), tenant("acme", "b")] },
    ["duplicate_name tenants[1].name"],
  ],
])("%s is refused", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});
