import { expect, test } from "vitest";
import { defaultPolicy } from "./policy-document.ts";
import { countPorts, planTopology, portsOf, type Shape } from "./topology.ts";

const shape: Shape = {
  regions: ["us-east", "eu-west", "ap-south"],
  controlPlanes: "each-region",
  proxiesPerRegion: 2,
  backendsPerRegion: 3,
};

function plan(of: Shape) {
  let next = 1_000;
  return planTopology(of, () => next++);
}

test.each<Shape>([shape, { ...shape, controlPlanes: "one", proxiesPerRegion: 1 }])(
  "a topology has as many ports as are counted, each once",
  (each) => {
    const ports = portsOf(plan(each)).map(([port]) => port);
    expect(new Set(ports).size).toBe(ports.length);
    expect(ports).toHaveLength(countPorts(each));
  },
);

test("the default policy names every backend, and every model has one in each region", () => {
  const topology = plan(shape);
  const policy = defaultPolicy(topology);
  expect(policy.backends).toHaveLength(9);
  for (const model of policy.models) {
    const serving = policy.backends.filter((backend) =>
      backend.serves.some((each) => each.model === model.name),
    );
    expect(new Set(serving.map((each) => each.region)).size).toBe(3);
  }
});

test("the policy holds the hash of the key, never the key", () => {
  expect(JSON.stringify(defaultPolicy(plan(shape)))).not.toContain("local-key");
});
