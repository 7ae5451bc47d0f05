import { seededRandom } from "@meridian/proto/base";
import { type RouteView, routeDefaults } from "@meridian/proto/snapshot";
import { expect, test } from "vitest";
import { allowsRegion } from "./residency.ts";
import { orderTargets, Router } from "./router.ts";

const anything: RouteView["match"] = {
  models: [],
  tenants: [],
  headers: [],
  protocols: [],
  paths: [],
};

function route(name: string, more: Partial<RouteView> = {}): RouteView {
  return {
    name,
    match: anything,
    targets: [],
    objectiveFirstTokenMs: undefined,
    hedge: undefined,
    shadow: undefined,
    affinityHeader: undefined,
    ...routeDefaults,
    ...more,
  };
}

function router(routes: readonly RouteView[]): Router {
  return new Router({
    routes,
    models: new Set(["llama-70b", "llama-8b", "nomic"]),
    aliases: new Map([["default", "llama-70b"]]),
  });
}

const routes = [
  route("vip", { match: { ...anything, models: ["llama-70b"], tenants: ["acme"] } }),
  route("exact", { match: { ...anything, models: ["nomic"], tenants: [] } }),
  route("mapped", {
    match: { ...anything, models: ["gpt-*"], tenants: [] },
    targets: [
      { model: "llama-70b", weight: 3 },
      { model: "llama-8b", weight: 0 },
      { model: "gone", weight: 1 },
    ],
  }),
  route("llamas", { match: { ...anything, models: ["llama-*"], tenants: [] } }),
];

test.each([
  ["acme", "llama-70b", "vip", ["llama-70b"]],
  ["other", "llama-70b", "llamas", ["llama-70b"]],
  ["acme", "default", "vip", ["llama-70b"]],
  ["other", "default", "llamas", ["llama-70b"]],
  ["other", "nomic", "exact", ["nomic"]],
  ["other", "gpt-4o", "mapped", ["llama-70b"]],
])("for %s the model %s takes the route %s", (tenant, model, name, targets) => {
  const resolved = router(routes).resolve(tenant, model);
  expect(resolved?.route.name).toBe(name);
  expect(resolved?.targets.map((each) => each.model)).toEqual(targets);
});

test.each(["nope", "llama-400b", ""])(
  "the model %o, which nobody serves, has no route",
  (model) => {
    expect(router(routes).resolve("acme", model)).toBeUndefined();
  },
);

test("what no route matches has none; without any routes every model has the direct one", () => {
  expect(
    router([route("x", { match: { ...anything, models: ["y"], tenants: [] } })]).resolve(
      "a",
      "nomic",
    ),
  ).toBeUndefined();
  expect(router([]).resolve("a", "nomic")?.route.name).toBe("direct");
  expect(router([]).resolve("a", "nope")).toBeUndefined();
});

test("the answer is remembered, and stays right", () => {
  const made = router(routes);
  expect(made.resolve("acme", "default")).toBe(made.resolve("acme", "default"));
  for (let each = 0; each < 10_001; each++) made.resolve("acme", `gpt-${each}`);
  expect(made.resolve("acme", "default")?.route.name).toBe("vip");
});

test("targets are drawn first by their weights", () => {
  const random = seededRandom("targets");
  const targets = [
    { model: "a", weight: 95 },
    { model: "b", weight: 5 },
  ];
  let b = 0;
  for (let each = 0; each < 10_000; each++) {
    const ordered = orderTargets(targets, random);
    expect(ordered).toHaveLength(2);
    if (ordered[0]?.model === "b") b += 1;
  }
  // Four standard deviations of a binomial with 5 %.
  expect(Math.abs(b - 500)).toBeLessThan(90);
});

test("residency allows what it names, and everything when it names nothing", () => {
  expect(allowsRegion([], "eu")).toBe(true);
  expect(allowsRegion(["us", "eu"], "eu")).toBe(true);
  expect(allowsRegion(["us"], "eu")).toBe(false);
});
