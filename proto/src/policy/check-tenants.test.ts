import { expect, test } from "vitest";
import { findingsWith, plainDocument } from "./sample-policy.ts";

const { regions } = plainDocument();
const tenant = (name: string, digit: string) => ({ name, keys: [{ sha256: digit.repeat(64) }] });

test.each<[string, object, readonly string[]]>([
  [
    "a key in plain text",
    { tenants: [{ name: "acme", keys: [{ sha256: "sk-plain" }] }] },
    ["not_sha256 tenants[0].keys[0].sha256"],
  ],
  [
    "a hash in upper case",
    { tenants: [tenant("acme", "A")] },
    ["not_sha256 tenants[0].keys[0].sha256"],
  ],
  [
    "the hash of an empty key",
    {
      tenants: [
        {
          name: "acme",
          keys: [{ sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }],
        },
      ],
    },
    ["empty_key tenants[0].keys[0].sha256"],
  ],
  [
    "one key of two tenants",
    { tenants: [tenant("acme", "a"), tenant("bolt", "a")] },
    ["duplicate_key tenants[1].keys[0].sha256"],
  ],
  [
    "residency in no region of the policy",
    { tenants: [{ ...tenant("acme", "a"), residency: ["mars"] }] },
    ["dangling_name tenants[0].residency[0]"],
  ],
  [
    "residency where nothing is served",
    {
      regions: [...regions, { name: "no", peers: ["no:1"], location: { lat: 1, lon: 1 } }],
      tenants: [{ ...tenant("acme", "a"), residency: ["no"] }],
    },
    [
      "residency_unserved tenants[0].residency",
      "no_location? regions[0].location",
      "no_location? regions[1].location",
      "region_without_backends? regions[2]",
    ],
  ],
])("%s is refused", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});
