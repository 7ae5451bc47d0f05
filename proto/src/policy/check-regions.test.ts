import { expect, test } from "vitest";
import { findingsWith, plainDocument } from "./sample-policy.ts";

const { regions } = plainDocument();

test.each<[string, object, readonly string[]]>([
  [
    "a latitude beyond the pole",
    { regions: [{ ...regions[0], location: { lat: 90.1, lon: -181 } }, regions[1]] },
    ["out_of_range regions[0].location.lat", "out_of_range regions[0].location.lon"],
  ],
  [
    "a peer that is no address",
    { regions: [{ ...regions[0], peers: ["us"] }, regions[1]] },
    ["bad_address regions[0].peers[0]"],
  ],
  [
    "a peer of port 0",
    { regions: [{ ...regions[0], peers: ["us:0"] }, regions[1]] },
    ["bad_address regions[0].peers[0]"],
  ],
  [
    "a peer that is a metadata service",
    { regions: [{ ...regions[0], peers: ["169.254.169.254:80"] }, regions[1]] },
    ["forbidden_host regions[0].peers[0]"],
  ],
  [
    "one peer in two regions",
    { regions: [regions[0], { name: "eu", peers: ["us:1"] }] },
    ["duplicate regions[1].peers[0]"],
  ],
  [
    "an endpoint with a path",
    { regions: [{ ...regions[0], endpoint: "https://us/v1" }, regions[1]] },
    ["bad_url regions[0].endpoint"],
  ],
])("%s is refused", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});
