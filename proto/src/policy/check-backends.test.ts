import { expect, test } from "vitest";
import { findingsWith, plainDocument } from "./sample-policy.ts";

const [usA, euA] = plainDocument().backends;

test.each<[string, object, readonly string[]]>([
  [
    "a backend of no region",
    { backends: [{ ...usA, region: "usa" }, euA] },
    ["dangling_name backends[0].region", "region_without_backends? regions[0]"],
  ],
  [
    "a backend that serves what is no model",
    { backends: [{ ...usA, serves: [{ model: "bog" }, { model: "big" }] }, euA] },
    ["dangling_name backends[0].serves[0].model"],
  ],
  [
    "a backend that serves a model twice",
    { backends: [{ ...usA, serves: [{ model: "big" }, { model: "big", as: "x" }] }, euA] },
    ["duplicate backends[0].serves[1].model"],
  ],
  [
    "a negative weight",
    { backends: [{ ...usA, weight: -1 }, euA] },
    ["negative backends[0].weight"],
  ],
  [
    "an absurd weight",
    { backends: [{ ...usA, weight: 1e9 }, euA] },
    ["out_of_range backends[0].weight"],
  ],
  [
    "an assistant prefix of another word",
    { backends: [{ ...usA, assistantPrefix: "appendix" }, euA] },
    ["unknown_word backends[0].assistantPrefix"],
  ],
  [
    "a path of metrics that is none",
    {
      backends: [
        { ...usA, metricsPath: "metrics" },
        { ...euA, metricsPath: "/metrics?x=1" },
      ],
    },
    ["invalid_text backends[0].metricsPath", "invalid_text backends[1].metricsPath"],
  ],
  [
    "a language that is not spoken yet",
    {
      backends: [
        { ...usA, protocol: "anthropic" },
        { ...euA, protocol: "ollama" },
      ],
    },
    ["not_supported backends[0].protocol", "not_supported backends[1].protocol"],
  ],
])("%s is refused", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});

test.each(["none", "/metrics", "/engine/metrics"])("metrics at %s are fine", (metricsPath) => {
  expect(findingsWith({ backends: [{ ...usA, metricsPath }, euA] })).toEqual([]);
});
