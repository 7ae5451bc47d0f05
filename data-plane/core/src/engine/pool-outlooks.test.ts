import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import { ownCallKnowledge } from "./call-knowledge.ts";
import { createEngine, ownTenant } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

function world() {
  const backend = (name: string, model: string, concurrency: number) => ({
    name,
    region: "eu",
    url: `http://${name}:1`,
    serves: [{ model }],
    capacity: { concurrency },
  });
  const document = {
    regions: [{ name: "eu" }, { name: "us" }],
    backends: [backend("a", "big", 1), backend("b", "small", 4)],
    models: [{ name: "big" }, { name: "small" }],
    routes: [{ name: "all" }],
  };
  const calls = ownCallKnowledge(1_024);
  const engine = createEngine({ region: "eu", random: seededRandom("outlooks"), calls });
  const snapshot = fixtureSnapshot("eu", document, 1);
  expect(engine.apply({ kind: "snapshot", snapshot }, 0).kind).toBe("ok");
  return { engine, calls };
}

/** What the own control plane says of the region's pools. */
type Json = { [name: string]: string | number | boolean };

function frame(pools: Json[], backends: Json[] = []) {
  return fixtureFrame({ regions: [{ name: "eu", ageMs: 0, pools }], backends });
}

test("before a policy nothing is told; idle pools have no queue, and no headroom that anybody knows", () => {
  const nothing = createEngine({ region: "eu", random: seededRandom("x") });
  expect(nothing.outlooks(0)).toEqual([]);
  expect(world().engine.outlooks(0)).toEqual([
    { model: "big", queueMs: 0, headroom: undefined },
    { model: "small", queueMs: 0, headroom: undefined },
  ]);
});

test("headroom is what the region bears beyond what its own clients ask for; a place that is free is never none", () => {
  const { engine } = world();
  const pool = { model: "big", backends: 1, available: 1, capacityTokens: 1_000 };
  engine.apply({ kind: "state", frame: frame([{ ...pool, demandTokens: 300 }]) }, 0);
  expect(engine.outlooks(0)[0]).toEqual({ model: "big", queueMs: 0, headroom: 550 });
  engine.apply({ kind: "state", frame: frame([{ ...pool, demandTokens: 900 }]) }, 0);
  expect(engine.outlooks(0)[0]).toEqual({ model: "big", queueMs: 0, headroom: 1 });
});

test("where every backend is at work there is a queue, and no headroom", () => {
  const { engine } = world();
  for (let each = 0; each < 5; each++) {
    const done = engine.begin(plainFacts, each * 1_000);
    done.step({ kind: "start" }, each * 1_000);
    done.step({ kind: "complete", attempt: 1 }, each * 1_000 + 1_000);
  }
  engine.begin(plainFacts, 9_000).step({ kind: "start" }, 9_000);
  const [big, small] = engine.outlooks(9_000);
  expect(big?.headroom).toBe(0);
  // One is under way, and each took a second.
  expect(big?.queueMs).toBeGreaterThan(300);
  expect(big?.queueMs).toBeLessThanOrEqual(2_000);
  expect(small).toMatchObject({ queueMs: 0 });
});

test("a pool that nobody stands in is told as closed", () => {
  const { engine } = world();
  const drained = [{ name: "a", draining: true, drainLeftMs: 60_000 }];
  engine.apply({ kind: "state", frame: frame([], drained) }, 0);
  expect(engine.outlooks(0)[0]).toEqual({ model: "big", queueMs: 60_000, headroom: 0 });
});

test("each model's smallest question is its canary's, shortened, or a guess", () => {
  const at = (name: string, model: string, canary?: Json) => ({
    name,
    region: "eu",
    url: `http://${name}:1`,
    serves: [{ model, as: `org/${model}` }, { model: "other" }],
    ...(canary === undefined ? {} : { probe: { canary } }),
  });
  const document = {
    regions: [{ name: "eu" }],
    backends: [
      at("a", "big"),
      at("b", "big", { prompt: "2+2=", expect: "4", maxTokens: 8 }),
      at("c", "vectors", { input: "sky" }),
    ],
    models: [{ name: "big" }, { name: "other" }, { name: "vectors" }],
    routes: [{ name: "all" }],
  };
  const engine = createEngine({ region: "eu", random: seededRandom("smallest") });
  engine.apply({ kind: "snapshot", snapshot: fixtureSnapshot("eu", document, 1) }, 0);
  expect(engine.serving()?.smallest).toEqual([
    { model: "big", ask: { kind: "chat", prompt: "2+2=", maxTokens: 1 } },
    { model: "other", ask: { kind: "chat", prompt: "Hi", maxTokens: 1 } },
    { model: "vectors", ask: { kind: "embedding", input: "sky" } },
  ]);
  const own = { ...plainFacts, tenant: ownTenant, arrivedFrom: "us" };
  expect(engine.admit(own, 0)).toMatchObject({ kind: "admitted", route: "direct", model: "big" });
});
