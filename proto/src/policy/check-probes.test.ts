import { expect, test } from "vitest";
import { findingsWith, plainDocument } from "./sample-policy.ts";

const [usA, euA] = plainDocument().backends;

function probed(probe: object): object {
  return { backends: [{ ...usA, probe }, euA] };
}

test.each<[string, object, readonly string[]]>([
  ["neither question nor text", { canary: { expect: "4" } }, ["canary_unclear canary"]],
  ["both", { canary: { prompt: "2+2=", input: "x", expect: "4" } }, ["canary_unclear canary"]],
  ["a question without an answer", { canary: { prompt: "2+2=" } }, ["canary_unclear canary"]],
  [
    "words and a pattern",
    { canary: { prompt: "2+2=", expect: "4", pattern: "4" } },
    ["canary_unclear canary"],
  ],
  ["words for a vector", { canary: { input: "x", expect: "4" } }, ["canary_unclear canary"]],
  [
    "a pattern that is none",
    { canary: { prompt: "x", pattern: "(4" } },
    ["invalid_pattern canary.pattern"],
  ],
  [
    "a pattern that may take for ever",
    { canary: { prompt: "x", pattern: "(a+)+$" } },
    ["invalid_pattern canary.pattern"],
  ],
  [
    "a long pattern",
    { canary: { prompt: "x", pattern: "a".repeat(257) } },
    ["too_large canary.pattern"],
  ],
  [
    "a costly canary",
    { canary: { prompt: "x", expect: "y", maxTokens: 65 } },
    ["out_of_range canary.maxTokens"],
  ],
  [
    "a model that the backend does not serve",
    { canary: { prompt: "x", expect: "y", model: "small" } },
    ["dangling_name canary.model"],
  ],
  ["a path that is none", { path: "health" }, ["invalid_text path"]],
  ["a path with a query", { path: "/health?deep=1" }, ["invalid_text path"]],
  ["endless patience", { latencyMs: 600_001 }, ["out_of_range latencyMs"]],
])("%s is refused", (_, probe, expected) => {
  const refused = findingsWith(probed(probe)).filter((each) => !each.includes("?"));
  expect(refused).toEqual(expected.map((each) => each.replace(" ", " backends[0].probe.")));
});

test.each([
  [{ path: "/healthz", canary: { prompt: "2+2=", pattern: "\\b(4|four)\\b", model: "big" } }],
  [{ canary: { input: "the sky is blue" }, latencyMs: 500 }],
])("%j is taken", (probe) => {
  const refused = findingsWith(probed(probe)).filter((each) => !each.includes("?"));
  expect(refused).toEqual([]);
});

test.each([0.0001, 1_001])("%d false alarms per month are no aim", (falseAlarmsPerMonth) => {
  expect(findingsWith({ health: { falseAlarmsPerMonth } })).toEqual([
    "out_of_range health.falseAlarmsPerMonth",
  ]);
});
