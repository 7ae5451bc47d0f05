// What clients cause is no evidence about a backend: not their mistakes, not their leaving, not our limits.

import { seededRandom } from "@meridian/proto/base";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type AttemptEvent, type FailureKind, upstreamFailure } from "../attempt/index.ts";
import { createEngine, type Engine, type RequestFacts } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

const document = {
  regions: [{ name: "eu" }],
  backends: ["a", "b"].map((name) => ({
    name,
    region: "eu",
    url: `http://${name}:1`,
    serves: [{ model: "m" }],
  })),
  models: [{ name: "m" }],
  routes: [{ name: "r", match: { models: ["*"] }, retry: { attempts: 3 } }],
};

const facts: RequestFacts = { ...plainFacts, model: "m", outputTokensMax: undefined };

type News = (attempt: number) => AttemptEvent;

const failed =
  (kind: FailureKind, status?: number): News =>
  (attempt) => ({
    kind: "failed",
    attempt,
    failure: upstreamFailure(kind, "x", status === undefined ? {} : { status }),
  });
const rejected: News = (attempt) => ({ kind: "rejected", attempt });
const left: News = () => ({ kind: "client-gone" });
const headers: News = (attempt) => ({ kind: "headers", attempt });

/** The client's doing, each to the request's end. Those that are asked elsewhere end with the client's leaving. */
const clientFaults: readonly (readonly News[])[] = [
  [rejected],
  [left],
  [headers, left],
  ...[400, 404, 405, 410, 418, 451].map((status) => [failed("status", status), left]),
  [failed("saturated", 429), left],
  [failed("saturated", 503), left],
];

const backendFaults: readonly (readonly News[])[] = [
  [failed("status", 500), left],
  [failed("connect"), left],
  [failed("reset"), left],
];

function play(engine: Engine, news: readonly News[], now: number): void {
  const attempts = engine.begin(facts, now);
  attempts.step({ kind: "start" }, now);
  for (const each of news) attempts.step(each(attempts.records().length), now);
  expect(attempts.finished()).toBe(true);
}

function engineWith(): Engine {
  const engine = createEngine({ region: "eu", random: seededRandom("faults") });
  engine.apply({ kind: "snapshot", snapshot: fixtureSnapshot("eu", document) }, 0);
  return engine;
}

/** All that a verdict rests on, here or in the control plane. */
function evidence(engine: Engine, now: number) {
  return engine.report(now).backends.map((each) => {
    const { name, succeeded, failed: bad, connectFailed, timed, slow, ejected, available } = each;
    return { name, succeeded, bad, connectFailed, timed, slow, ejected, available };
  });
}

test("client errors and aborts leave no evidence, whatever they follow", () => {
  const some = fc.constantFrom(...clientFaults);
  const trouble = fc.array(fc.constantFrom(...backendFaults), { maxLength: 12 });
  fc.assert(
    fc.property(trouble, fc.array(some, { minLength: 1, maxLength: 40 }), (before, faults) => {
      const engine = engineWith();
      for (const [at, each] of before.entries()) play(engine, each, at * 400);
      const now = before.length * 400;
      const held = evidence(engine, now);
      for (const each of faults) play(engine, each, now);
      expect(evidence(engine, now)).toEqual(held);
    }),
  );
});

test("the same test sees a failure of the backend's own", () => {
  for (const each of backendFaults) {
    const engine = engineWith();
    play(engine, each, 0);
    expect(evidence(engine, 0)).not.toEqual(evidence(engineWith(), 0));
  }
});
