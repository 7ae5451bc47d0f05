import fc from "fast-check";
import { expect, test } from "vitest";
import { parsePeerState, renderPeerState } from "./peer-state.ts";

const pool = fc.record({
  model: fc.string(),
  queueMs: fc.nat(),
  headroom: fc.option(fc.nat(), { nil: undefined }),
});

test("what is told is read as it was", () => {
  fc.assert(
    fc.property(fc.array(pool), (pools) => {
      expect(parsePeerState(renderPeerState(pools))).toEqual(pools);
    }),
  );
});

test.each(["", "x", "null", "[]", "{}", '{"pools":{}}', '{"pools":"a"}'])(
  "the body %o tells nothing",
  (text) => {
    expect(parsePeerState(text)).toBeUndefined();
  },
);

test("pools that are told wrongly are left out", () => {
  const pools = [
    null,
    1,
    { model: 1, queueMs: 1 },
    { model: "a" },
    { model: "b", queueMs: -1 },
    { model: "c", queueMs: "1" },
    { model: "d", queueMs: 1, headroom: -1, more: true },
    { model: "e", queueMs: 2, headroom: 3 },
  ];
  expect(parsePeerState(JSON.stringify({ pools, version: 2 }))).toEqual([
    { model: "d", queueMs: 1, headroom: undefined },
    { model: "e", queueMs: 2, headroom: 3 },
  ]);
});

test("whatever comes, nothing throws", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      parsePeerState(text);
    }),
  );
});
