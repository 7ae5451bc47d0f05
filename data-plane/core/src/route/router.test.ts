import { seededRandom } from "@meridian/proto/base";
import { type RouteView, routeDefaults } from "@meridian/proto/snapshot";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ownTenant } from "./direct-route.ts";
import { allowsRegion } from "./residency.ts";
import { orderTargets, type RouteFacts, Router } from "./router.ts";
import { sessionOf } from "./session.ts";

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

function asking(tenant: string, model: string, more: Partial<RouteFacts> = {}): RouteFacts {
  const plain = { headers: {}, protocol: "openai", path: "/v1/chat/completions" } as const;
  return { tenant, model, ...plain, ...more };
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
  const resolved = router(routes).resolve(asking(tenant, model));
  expect(resolved?.route.name).toBe(name);
  expect(resolved?.targets.map((each) => each.model)).toEqual(targets);
});

test.each(["nope", "llama-400b", ""])(
  "the model %o, which nobody serves, has no route",
  (model) => {
    expect(router(routes).resolve(asking("acme", model))).toBeUndefined();
    expect(router(routes).mayResolve("acme", model)).toBe(false);
  },
);

test("the proxies' own requests take the direct route, past all routes", () => {
  const made = router([route("x", { match: { ...anything, tenants: ["acme"] } })]);
  expect(made.resolve(asking(ownTenant, "nomic"))?.route.name).toBe("direct");
  expect(made.resolve(asking(ownTenant, "nope"))).toBeUndefined();
  expect(made.resolve(asking("bolt", "nomic"))).toBeUndefined();
});

test("what no route matches has none; without any routes every model has the direct one", () => {
  expect(
    router([route("x", { match: { ...anything, models: ["y"], tenants: [] } })]).resolve(
      asking("a", "nomic"),
    ),
  ).toBeUndefined();
  expect(router([]).resolve(asking("a", "nomic"))?.route.name).toBe("direct");
  expect(router([]).resolve(asking("a", "nope"))).toBeUndefined();
  expect([router([]).mayResolve("a", "nomic"), router([]).mayResolve("a", "nope")]).toEqual([
    true,
    false,
  ]);
});

test("the answer is remembered, and stays right", () => {
  const made = router(routes);
  const known = asking("acme", "default");
  expect(made.resolve(known)).toBe(made.resolve(known));
  for (let each = 0; each < 10_001; each++) made.resolve(asking("acme", `gpt-${each}`));
  expect(made.resolve(known)?.route.name).toBe("vip");
});

const byPlace = [
  route("blue", { match: { ...anything, headers: [{ name: "x-team", pattern: "blue-*" }] } }),
  route("both", {
    match: {
      ...anything,
      headers: [
        { name: "x-team", pattern: "red" },
        { name: "x-tier", pattern: "*" },
      ],
    },
  }),
  route("vectors", { match: { ...anything, paths: ["*/embeddings"] } }),
  route("claude", { match: { ...anything, protocols: ["anthropic"] } }),
  route("rest"),
];

test.each<[string, Partial<RouteFacts>]>([
  ["blue", { headers: { "x-team": "blue-7" } }],
  ["rest", { headers: { "x-team": "Blue-7" } }],
  ["rest", { headers: { "x-team": "red" } }],
  ["both", { headers: { "x-team": "red", "x-tier": "" } }],
  ["rest", { headers: { "x-tier": "gold" } }],
  ["vectors", { path: "/v1/embeddings" }],
  ["blue", { path: "/v1/embeddings", headers: { "x-team": "blue-" } }],
  ["claude", { protocol: "anthropic" }],
  ["rest", {}],
])("the route %s takes %o", (name, more) => {
  expect(router(byPlace).resolve(asking("a", "nomic", more))?.route.name).toBe(name);
});

test("a name inherited from Object is no header", () => {
  const made = router([
    route("odd", { match: { ...anything, headers: [{ name: "constructor", pattern: "*" }] } }),
  ]);
  expect(made.resolve(asking("a", "nomic"))).toBeUndefined();
  expect(made.resolve(asking("a", "nomic", { headers: { constructor: "x" } }))).toBeDefined();
});

const word = fc.constantFrom("a", "ab", "b", "*", "a*", "*b", "");
const matchArbitrary: fc.Arbitrary<RouteView["match"]> = fc.record({
  models: fc.array(fc.constantFrom("*", "llama-*", "nomic", "default", "d*"), { maxLength: 2 }),
  tenants: fc.array(fc.constantFrom("t", "u"), { maxLength: 1 }),
  headers: fc.array(fc.record({ name: fc.constantFrom("x", "y"), pattern: word }), {
    maxLength: 2,
  }),
  protocols: fc.array(fc.constantFrom("openai" as const, "ollama" as const), { maxLength: 1 }),
  paths: fc.array(fc.constantFrom("/v1/*", "*/embeddings", "/v1/chat/completions"), {
    maxLength: 1,
  }),
});
const factsArbitrary: fc.Arbitrary<RouteFacts> = fc.record({
  tenant: fc.constantFrom("t", "u", "v"),
  model: fc.constantFrom("nomic", "default", "llama-8b", "none"),
  headers: fc.dictionary(fc.constantFrom("x", "y", "z"), word),
  protocol: fc.constantFrom("openai" as const, "ollama" as const),
  path: fc.constantFrom("/v1/embeddings", "/v1/chat/completions"),
});

test("one that remembers answers as one that is asked for the first time, and lists what it may answer", () => {
  fc.assert(
    fc.property(
      fc.array(matchArbitrary, { minLength: 1, maxLength: 5 }),
      fc.array(factsArbitrary, { minLength: 1, maxLength: 40 }),
      (matches, asked) => {
        const all = matches.map((match, place) => route(`r${place}`, { match }));
        const remembering = router(all);
        for (const facts of asked) {
          const fresh = router(all).resolve(facts);
          expect(remembering.resolve(facts)).toEqual(fresh);
          if (fresh !== undefined) {
            expect(remembering.mayResolve(facts.tenant, facts.model)).toBe(true);
          }
        }
      },
    ),
  );
});

test("values that clients make up fill no memory: what no route tells apart is one entry", () => {
  const made = router(byPlace);
  const first = made.resolve(asking("a", "nomic", { headers: { "x-team": "none-0" } }));
  for (let each = 1; each < 12_000; each++) {
    const headers = { "x-team": `none-${each}`, "x-session": `${each}` };
    // The very object that was remembered first: the memory was never full.
    expect(made.resolve(asking("a", "nomic", { headers })) === first).toBe(true);
  }
});

test("a model is listed for whom some header or path would lead to it, and not behind a route that takes all", () => {
  const made = router([
    route("vectors", { match: { ...anything, models: ["nomic"], paths: ["*/embeddings"] } }),
    route("lost", {
      match: { ...anything, models: ["llama-8b"] },
      targets: [{ model: "gone", weight: 1 }],
    }),
    route("behind", { match: { ...anything, models: ["llama-8b"] } }),
  ]);
  expect(made.mayResolve("a", "nomic")).toBe(true);
  expect(made.resolve(asking("a", "nomic"))).toBeUndefined();
  expect(made.mayResolve("a", "llama-8b")).toBe(false);
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

test("a session is the value of the route's header, of each tenant by itself; without one there is none", () => {
  const affine = route("a", { affinityHeader: "x-session" });
  const of = (headers: RouteFacts["headers"], tenant = "acme", on = affine) =>
    sessionOf(on, { headers, tenant });
  const session = of({ "x-session": "chat-1" });
  expect(session).toBe(of({ "x-session": "chat-1", "x-other": "1" }));
  expect(session).not.toBe(of({ "x-session": "chat-2" }));
  expect(session).not.toBe(of({ "x-session": "chat-1" }, "other"));
  expect(of({ "x-session": "" })).toBeUndefined();
  expect(of({})).toBeUndefined();
  expect(of({ "x-session": "chat-1" }, "acme", route("b"))).toBeUndefined();
  expect(of({}, "acme", route("c", { affinityHeader: "constructor" }))).toBeUndefined();
});

test("residency allows what it names, and everything when it names nothing", () => {
  expect(allowsRegion([], "eu")).toBe(true);
  expect(allowsRegion(["us", "eu"], "eu")).toBe(true);
  expect(allowsRegion(["us"], "eu")).toBe(false);
});
