import { create } from "@bufbuild/protobuf";
import { type StateFrame, StateFrameSchema } from "@meridian/proto/gen/sync_pb";
import { expect, test } from "vitest";
import { HeldState } from "./region-state.ts";

function frame(): StateFrame {
  return create(StateFrameSchema, {
    regions: [
      {
        name: "us",
        ageMs: 400,
        pools: [
          {
            model: "m",
            backends: 3,
            available: 2,
            capacityTokens: 9_000,
            demandTokens: 2_000,
            pendingTokens: 50,
          },
          { model: "other", backends: 1, available: 1 },
        ],
      },
      { name: "ap", ageMs: 0xffff_ffff, pools: [{ model: "m", backends: 1, available: 1 }] },
    ],
    outflows: [
      { model: "m", region: "us", share: 250 },
      { model: "m", region: "ap", share: 0 },
    ],
  });
}

function held(): HeldState {
  const state = new HeldState();
  state.take(frame(), 1_000);
  return state;
}

test("a region's pool is told with the age of its region's word", () => {
  expect(held().pool("us", "m", 1_600)).toEqual({
    capacity: 9_000,
    demand: 2_000,
    pending: 50,
    backends: 3,
    available: 2,
    ageMs: 1_000,
  });
});

test("a capacity that is not known is not none", () => {
  const { capacity, ageMs } = held().pool("ap", "m", 1_000) ?? {};
  expect(capacity).toBeUndefined();
  expect(ageMs).toBe(Number.POSITIVE_INFINITY);
});

test("a pool without an available backend has no capacity, which is known", () => {
  const state = new HeldState();
  const pools = [{ model: "m", backends: 2, available: 0 }];
  state.take(create(StateFrameSchema, { regions: [{ name: "us", pools }] }), 0);
  expect(state.pool("us", "m", 0)?.capacity).toBe(0);
});

test("of what no frame tells there is no pool", () => {
  expect(new HeldState().pool("us", "m", 0)).toBeUndefined();
  expect(held().pool("mars", "m", 1_000)).toBeUndefined();
  expect(held().pool("us", "unheard", 1_000)).toBeUndefined();
});

test("a row of the table bounds, also at nothing; no row, no bound", () => {
  const state = held();
  expect(state.outflowShare("m", "us", 1_000)).toBe(0.25);
  expect(state.outflowShare("m", "ap", 1_000)).toBe(0);
  expect(state.outflowShare("other", "us", 1_000)).toBeUndefined();
  expect(new HeldState().outflowShare("m", "us", 1_000)).toBeUndefined();
});

test("a table older than five seconds bounds nothing, and the next frame's holds again", () => {
  const state = held();
  expect(state.outflowShare("m", "us", 6_000)).toBe(0.25);
  expect(state.outflowShare("m", "us", 6_001)).toBeUndefined();
  state.take(frame(), 6_500);
  expect(state.outflowShare("m", "us", 6_500)).toBe(0.25);
});

test("a share beyond the whole is the whole", () => {
  const state = new HeldState();
  state.take(
    create(StateFrameSchema, { outflows: [{ model: "m", region: "us", share: 4_000 }] }),
    0,
  );
  expect(state.outflowShare("m", "us", 0)).toBe(1);
});
