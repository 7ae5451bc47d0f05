import { readFileSync } from "node:fs";
import { defaultPolicy, withCanaries } from "@meridian/harness";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { localTopology } from "./layout.ts";
import { renderPolicy, templateFile } from "./policy.ts";

const shape = { store: "embedded", backendsPerRegion: 2 } as const;

test("the template is the policy of the default start", () => {
  const topology = localTopology({ ...shape, basePort: 8801 });
  const template = readFileSync(templateFile, "utf8");
  expect(parse(template)).toEqual(withCanaries(defaultPolicy(topology)));
  expect(parse(renderPolicy(topology, []))).toEqual(parse(template));
});

test("other ports reach every address, and the comments stay", () => {
  const topology = localTopology({ ...shape, basePort: 9801 });
  const text = renderPolicy(topology, []);
  expect(parse(text)).toEqual(withCanaries(defaultPolicy(topology)));
  expect(text).toContain("# Every model:");
  expect(text).not.toMatch(/:88\d\d\b/);
});

test("real backends serve their models in every region, the first one as default", () => {
  const topology = localTopology({ ...shape, basePort: 8801, backendsPerRegion: 0 });
  const models = [
    { name: "llama3.2:3b", as: "llama3.2:3b" },
    { name: "qwen", as: "qwen" },
  ];
  const url = "http://127.0.0.1:11434";
  const policy = parse(renderPolicy(topology, [{ kind: "ollama", url, models }]));
  expect(policy.models).toEqual([{ name: "llama3.2:3b", aliases: ["default"] }, { name: "qwen" }]);
  expect(policy.backends.map((each: { region: string }) => each.region)).toEqual(
    topology.regions.map((region) => region.name),
  );
  expect(policy.backends[0]).toMatchObject({ url, serves: [{ model: "llama3.2:3b" }, {}] });
});
