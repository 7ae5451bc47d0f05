import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import type { ToldVerdict } from "../health/index.ts";
import { createEngine, type Engine } from "./index.ts";
import { HeldState } from "./region-state.ts";

const document = {
  regions: [{ name: "eu" }, { name: "us" }],
  backends: ["a", "b"].map((name) => ({
    name,
    region: "eu",
    url: `http://${name}:1`,
    serves: [{ model: "m" }],
  })),
  models: [{ name: "m" }],
  routes: [{ name: "r", match: { models: ["*"] } }],
};

function engineWith(verdict: "healthy" | "unhealthy" | undefined): Engine {
  const engine = createEngine({ region: "eu", random: seededRandom("ageing") });
  engine.apply({ kind: "snapshot", snapshot: fixtureSnapshot("eu", document) }, 0);
  const backends = verdict === undefined ? [] : [{ name: "a", verdict }];
  engine.apply({ kind: "state", frame: fixtureFrame({ backends }) }, 0);
  return engine;
}

const own: ToldVerdict = {
  verdict: "unhealthy",
  share: 0,
  isProving: false,
  freezesBaseline: true,
  isAgeing: false,
};

/** What is followed of backend a when this proxy's own verdict comes in at that time. */
function followed(engine: Engine, now: number, verdict: ToldVerdict = own) {
  engine.apply({ kind: "verdicts", verdicts: new Map([["a", verdict]]) }, now);
  const report = engine.report(now).backends[0];
  return {
    share: report?.told?.share,
    available: report?.available,
    heard: report?.heard?.verdict,
  };
}

test("a fresh word is followed; an ageing one loses weight from 5 s to 15 s; then the own one stands", () => {
  const engine = engineWith("healthy");
  expect(followed(engine, 5_000)).toEqual({ share: 1, available: true, heard: "healthy" });
  expect(followed(engine, 7_500)).toMatchObject({ share: 0.75, heard: "healthy" });
  expect(followed(engine, 14_000).share).toBeCloseTo(0.1);
  expect(followed(engine, 15_000)).toEqual({ share: 0, available: false, heard: undefined });
});

test("what was told to be out stays out while the word ages", () => {
  const engine = engineWith("unhealthy");
  const well = { ...own, verdict: "healthy", share: 1 } as const;
  expect(followed(engine, 14_999, well)).toMatchObject({ share: 0, available: false });
  expect(followed(engine, 15_000, well)).toMatchObject({ share: 1, available: true });
});

test("where the control plane says nothing of a backend, this proxy's own verdict stands", () => {
  expect(followed(engineWith(undefined), 100)).toEqual({
    share: 0,
    available: false,
    heard: undefined,
  });
});

test("a new frame is followed at once", () => {
  const engine = engineWith("healthy");
  followed(engine, 20_000);
  const frame = fixtureFrame({ backends: [{ name: "a", verdict: "healthy" }] });
  engine.apply({ kind: "state", frame }, 21_000);
  expect(followed(engine, 21_000)).toEqual({ share: 1, available: true, heard: "healthy" });
});

test("another region's capacity counts for less the older its digest is, the frame's own age included", () => {
  const state = new HeldState();
  const pools = [{ model: "m", backends: 4, available: 4 }];
  state.take(fixtureFrame({ regions: [{ name: "us", ageMs: 4_000, pools }] }), 0);
  const available = (now: number) => state.region("us", ["m"], now)?.available;
  expect([0, 1_000].map(available)).toEqual([4, 4]);
  expect(available(13_500)).toBe(2);
  expect([26_000, 60_000].map(available)).toEqual([0, 0]);
  state.take(fixtureFrame({ regions: [{ name: "us", ageMs: 0xffff_ffff, pools }] }), 0);
  expect(available(0)).toBe(0);
});
