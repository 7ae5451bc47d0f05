import type { Change } from "@meridian/control-core/watch";
import type { Problem } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { keys } from "../store/keys.ts";
import { RegionView } from "./region-view.ts";

function put(key: string, value: unknown): Change {
  const bytes = typeof value === "string" ? value : JSON.stringify(value);
  const entry = { key, value: new TextEncoder().encode(bytes), createRevision: 2, modRevision: 2 };
  return { kind: "put", entry, previous: undefined };
}

function gone(key: string): Change {
  const previous = { key, value: new Uint8Array(), createRevision: 2, modRevision: 2 };
  return { kind: "delete", key, previous };
}

function open() {
  const time = { now: 100, wall: 1_000_000 };
  const bad: Problem[] = [];
  const clock = { now: () => time.now, wall: () => time.wall };
  return { time, bad, view: new RegionView(clock, (problem) => bad.push(problem)) };
}

test("a sign that was there at the start is as old as it says; a new one is new", () => {
  const { view, time } = open();
  view.takeRuntime([put(keys.heartbeat("eu"), { wallMs: 991_000 })], true);
  expect(view.signs.ageMs("eu", time.now)).toBe(9_000);
  view.takeRuntime([put(keys.heartbeat("eu"), { wallMs: 1 })], false);
  expect(view.signs.ageMs("eu", time.now)).toBe(0);
});

test("a clock ahead of ours makes no sign younger than new", () => {
  const { view, time } = open();
  view.takeRuntime([put(keys.heartbeat("eu"), { wallMs: 2_000_000 })], true);
  expect(view.signs.ageMs("eu", time.now)).toBe(0);
});

test("a digest that can't be read is told with its place, and the last good one stays", () => {
  const { view, bad } = open();
  const digest = { region: "eu", proxies: 2, pools: [], verdicts: [] };
  expect(view.takeRuntime([put(keys.digest("eu"), digest)], false)).toBe(true);
  for (const value of ["{", "[]", '{"proxies":-1,"pools":[]}']) {
    expect(view.takeRuntime([put(keys.digest("eu"), value)], false)).toBe(false);
  }
  expect(bad.map((each) => each.path)).toEqual(Array(3).fill("rt/eu/digest"));
  expect(view.signs.digest("eu")?.proxies).toBe(2);
});

test("drains come, end by themselves, and go with their row", () => {
  const { view, time } = open();
  const key = keys.drain("region", "eu");
  const order = { untilMs: time.wall + 1_000, reason: "drill", author: "operator/x" };
  expect(view.takeControl([put(key, order)])).toBe(true);
  expect(view.drains().regions.get("eu")).toMatchObject({ reason: "drill" });
  time.wall += 1_000;
  expect(view.drains().regions.size).toBe(0);
  view.takeControl([put(key, { ...order, untilMs: time.wall + 1 })]);
  expect(view.drains().regions.size).toBe(1);
  view.takeControl([gone(key)]);
  expect(view.drains().regions.size).toBe(0);
});

test("a drain that can't be read is told, and the last good one holds until its end", () => {
  const { view, bad, time } = open();
  const key = keys.drain("backend", "a");
  view.takeControl([put(key, { untilMs: time.wall + 1_000, reason: "", author: "" })]);
  expect(view.takeControl([put(key, "nonsense")])).toBe(false);
  view.takeControl([put("/ctl/drain/planet/x", { untilMs: time.wall + 1 })]);
  expect(bad).toHaveLength(2);
  expect([...view.drains().backends.keys()]).toEqual(["a"]);
  time.wall += 1_000;
  expect(view.drains().backends.size).toBe(0);
});

test("what else stands under the prefix is nobody's drain", () => {
  const { view, bad } = open();
  expect(view.takeControl([put("/ctl/drill/1", {}), put(keys.drainGuard, {})])).toBe(false);
  expect(bad).toEqual([]);
});
