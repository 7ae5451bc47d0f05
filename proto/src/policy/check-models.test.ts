import { expect, test } from "vitest";
import { findingsWith, plainDocument } from "./sample-policy.ts";

const { backends, models } = plainDocument();
const [usA, euA] = backends;
const model = (name: string, more: object = {}) => ({ name, ...more });

test.each<[string, object, readonly string[]]>([
  [
    "a model that nobody serves",
    { models: [...models, model("idle")] },
    ["unserved_model models[2]"],
  ],
  [
    "a model that only backends of weight 0 serve",
    { backends: [usA, { ...euA, weight: 0 }] },
    ["unserved_model models[1]"],
  ],
  [
    "an alias that is a model's name",
    { models: [model("big", { aliases: ["small"] }), model("small")] },
    ["alias_clash models[0].aliases[0]"],
  ],
  [
    "an alias of two models",
    { models: [model("big", { aliases: ["x"] }), model("small", { aliases: ["x"] })] },
    ["alias_clash models[1].aliases[0]"],
  ],
  [
    "degrading to what is no model",
    { models: [model("big", { degradeTo: ["tiny"] }), model("small")] },
    ["dangling_name models[0].degradeTo[0]", "not_in_force? models[0].degradeTo"],
  ],
  [
    "degrading to itself",
    { models: [model("big", { degradeTo: ["big"] }), model("small")] },
    ["degrade_cycle models[0].degradeTo[0]", "not_in_force? models[0].degradeTo"],
  ],
  [
    "degrading in a circle",
    {
      models: [model("big", { degradeTo: ["small"] }), model("small", { degradeTo: ["big"] })],
    },
    ["degrade_cycle models[1].degradeTo[0]", "not_in_force? models[0].degradeTo"],
  ],
])("%s is refused", (_, change, expected) => {
  expect(findingsWith(change)).toEqual(expected);
});

test("continuing streams that no backend can go on from is warned of", () => {
  const change = { models: [model("big", { continueStreams: true }), model("small")] };
  expect(findingsWith(change)).toEqual(["continuation_impossible? models[0].continueStreams"]);
  const able = { ...change, backends: [{ ...usA, assistantPrefix: "append" }, euA] };
  expect(findingsWith(able)).toEqual([]);
});
