import { seededRandom } from "@meridian/proto/base";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import { upstreamFailure } from "../attempt/index.ts";
import { createEngine, type Engine, type RequestFacts } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

const facts: RequestFacts = {
  ...plainFacts,
  model: "default",
  inputTokens: 1_000,
  outputTokensMax: 200,
};

function open(): Engine {
  const engine = createEngine({ region: "eu", random: seededRandom("demand") });
  const snapshot = fixtureSnapshot("eu", {
    regions: [{ name: "eu" }, { name: "us", peers: ["10.0.1.1:1"] }],
    backends: [
      { name: "eu-a", region: "eu", url: "http://a:1", serves: [{ model: "big" }] },
      { name: "us-a", region: "us", url: "http://c:1", serves: [{ model: "far" }] },
    ],
    models: [{ name: "big", aliases: ["default"] }, { name: "far" }],
  });
  expect(engine.apply({ kind: "snapshot", snapshot }, 0).kind).toBe("ok");
  return engine;
}

const usage = { inputTokens: 600, outputTokens: 40, exact: true };

/** Answered by whoever is asked first. */
function answer(engine: Engine, given: Partial<RequestFacts> = {}): void {
  const request = { ...facts, ...given };
  const attempts = engine.begin(request, 0);
  attempts.step({ kind: "start" }, 0);
  attempts.step({ kind: "complete", attempt: 1 }, 5);
  settle(engine, request, { attempts: attempts.records(), used: true });
}

function settle(
  engine: Engine,
  request: RequestFacts,
  {
    attempts,
    used,
  }: { attempts: ReturnType<ReturnType<Engine["begin"]>["records"]>; used: boolean },
): void {
  engine.observe(
    {
      facts: request,
      route: "r",
      ending: used ? { kind: "complete", attempt: 1 } : { kind: "client-gone" },
      attempts,
      usage: used ? usage : { inputTokens: 0, outputTokens: 0, exact: false },
      startedAt: 0,
      committedAt: undefined,
    },
    5,
  );
}

test("a request is demand for its model at arrival, before anybody answers", () => {
  const engine = open();
  engine.begin(facts, 0);
  expect(engine.report(0).pools).toEqual([
    { model: "big", requests: 1, tokens: 1_200, sentAway: 0, held: 0, heldTokens: 0 },
    { model: "far", requests: 0, tokens: 0, sentAway: 0, held: 0, heldTokens: 0 },
  ]);
});

test("a request from abroad is work, but no demand here", () => {
  const engine = open();
  answer(engine, { arrivedFrom: "us" });
  const { pools, backends } = engine.report(0);
  expect(pools[0]?.requests).toBe(0);
  expect(backends).toMatchObject([{ name: "eu-a", doneTokens: 640 }]);
});

test("a model that only another region serves has demand here, and is sent away", () => {
  const engine = open();
  answer(engine, { model: "far" });
  const { pools, backends, peers } = engine.report(0);
  expect(pools[1]).toMatchObject({ model: "far", requests: 1, sentAway: 1 });
  expect(backends).toMatchObject([{ doneTokens: 0 }]);
  expect(peers).toMatchObject([{ doneTokens: 0 }]);
});

test("what answered requests used corrects what the next ones are expected to", () => {
  const engine = open();
  for (let request = 0; request < 500; request++) answer(engine);
  const before = engine.report(0).pools[0]?.tokens ?? 0;
  engine.begin(facts, 0);
  const expected = (engine.report(0).pools[0]?.tokens ?? 0) - before;
  expect(expected).toBeGreaterThan(640);
  expect(expected).toBeLessThan(720);
});

test("a request that nobody answered is nobody's work", () => {
  const engine = open();
  const attempts = engine.begin(facts, 0);
  attempts.step({ kind: "start" }, 0);
  attempts.step({ kind: "failed", attempt: 1, failure: upstreamFailure("connect", "refused") }, 1);
  attempts.step({ kind: "client-gone" }, 2);
  settle(engine, facts, { attempts: attempts.records(), used: false });
  expect(engine.report(2).backends).toMatchObject([{ doneTokens: 0 }]);
});
