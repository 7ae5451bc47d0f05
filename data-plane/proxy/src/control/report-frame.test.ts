import { create } from "@bufbuild/protobuf";
import type { EngineReport, TargetReport } from "@meridian/data-core/engine";
import { NodeSchema } from "@meridian/proto/gen/sync_pb";
import { expect, test } from "vitest";
import { createReportMaker } from "./report-frame.ts";

const node = create(NodeSchema, { id: "p1", region: "eu", build: "test" });

function report(backends: readonly Partial<TargetReport>[], more: Partial<EngineReport> = {}) {
  const complete = backends.map((each) => ({
    name: "b0",
    region: "eu",
    started: 0,
    succeeded: 0,
    failed: 0,
    slow: 0,
    inFlight: 0,
    pendingTokens: 0,
    doneTokens: 0,
    waiting: undefined,
    ejected: false,
    draining: false,
    connectFailed: 0,
    timed: 0,
    told: undefined,
    heard: undefined,
    probers: [],
    canaryVector: [],
    available: true,
    ...each,
  }));
  return {
    version: undefined,
    region: "eu",
    draining: false,
    stateAgeMs: undefined,
    liveRequests: 0,
    requests: 0,
    inputTokens: 0,
    outputTokens: 0,
    edge: { answered: 0, failed: 0 },
    peers: [],
    pools: [],
    ...more,
    backends: complete,
  } satisfies EngineReport;
}

const second = (each: number) => ({ draining: false, now: each * 1_000 });

test("counts are what was added since the frame before; what is under way is as it is", () => {
  const maker = createReportMaker(node, () => undefined, 0);
  maker.make(1n, report([{ started: 5, succeeded: 3, failed: 1, inFlight: 1 }]), second(1));
  const frame = maker.make(
    2n,
    report([{ started: 9, succeeded: 7, failed: 1, inFlight: 1 }]),
    second(2),
  );
  expect(frame.backends).toMatchObject([{ started: 4, succeeded: 4, failed: 0, inFlight: 1 }]);
});

test("a backend that begins to count anew is not reported with less than nothing", () => {
  const maker = createReportMaker(node, () => undefined, 0);
  maker.make(1n, report([{ started: 100 }]), second(1));
  expect(maker.make(2n, report([{ started: 3 }]), second(2)).backends[0]?.started).toBe(3);
});

test("a backend that is new is reported with all that it counted", () => {
  const maker = createReportMaker(node, () => undefined, 0);
  maker.make(1n, report([{ name: "b0", started: 1 }]), second(1));
  const frame = maker.make(
    2n,
    report([
      { name: "b0", started: 1 },
      { name: "b1", started: 2 },
    ]),
    second(2),
  );
  expect(frame.backends.map((each) => each.started)).toEqual([0, 2]);
});

test("a proxy that never had a state frame says so", () => {
  const frame = createReportMaker(node, () => undefined, 0).make(1n, report([]), {
    draining: true,
    now: 0,
  });
  expect(frame).toMatchObject({ stateAgeMs: 0xffff_ffff, draining: true, node: { id: "p1" } });
  expect(
    createReportMaker(node, () => undefined, 0).make(
      1n,
      report([], { stateAgeMs: 12.6 }),
      second(1),
    ).stateAgeMs,
  ).toBe(13);
});

test("probes are reported with the requests; a canary's time counts as a wait", () => {
  const counts = {
    probes: 5,
    probesFailed: 1,
    canaries: 2,
    canariesWrong: 1,
    timed: 2,
    slow: 1,
    canaryTokensPerDay: 900,
    canaryVector: [1, 2],
  };
  const maker = createReportMaker(node, (name) => (name === "b0" ? counts : undefined), 0);
  maker.make(1n, report([{ timed: 3, slow: 1 }]), second(1));
  counts.probes = 7;
  counts.canaries = 3;
  counts.timed = 3;
  const [frame] = maker.make(2n, report([{ timed: 4, slow: 1 }]), second(2)).backends;
  expect(frame).toMatchObject({
    probes: 2,
    probesFailed: 0,
    canaries: 1,
    canariesWrong: 0,
    timed: 2,
    slow: 0,
    canaryTokensPerDay: 900,
    canaryVector: [1, 2],
  });
  const known = report([{ canaryVector: [1, 2] }]);
  expect(maker.make(3n, known, second(3)).backends[0]?.canaryVector).toEqual([]);
});

test("what was counted before the first frame, or in a time without frames, is of no second", () => {
  const counts = {
    probes: 500,
    probesFailed: 400,
    canaries: 0,
    canariesWrong: 0,
    timed: 0,
    slow: 0,
    canaryTokensPerDay: 0,
    canaryVector: [],
  };
  const maker = createReportMaker(node, () => counts, 0);
  const nothing = [{ failed: 0, succeeded: 0, probes: 0, probesFailed: 0 }];
  const first = report([{ failed: 90, succeeded: 10 }]);
  expect(maker.make(1n, first, second(11)).backends).toMatchObject(nothing);
  counts.probesFailed = 450;
  const late = report([{ failed: 190, succeeded: 20, inFlight: 3 }]);
  const afterGap = maker.make(2n, late, second(22)).backends;
  expect(afterGap).toMatchObject([{ ...nothing[0], inFlight: 3 }]);
  // A short gap is told whole.
  const soon = report([{ failed: 195, succeeded: 20 }]);
  expect(maker.make(3n, soon, second(32)).backends).toMatchObject([{ failed: 5 }]);
});

test("tokens done are what was added, tokens to do and requests that wait are as they are", () => {
  const maker = createReportMaker(node, () => undefined, 0);
  maker.make(1n, report([{ doneTokens: 1_000.4, pendingTokens: 5, waiting: 3 }]), second(1));
  const before = maker.make(
    2n,
    report([{ doneTokens: 2_500, pendingTokens: 7, waiting: 0 }]),
    second(2),
  );
  expect(before.backends).toMatchObject([{ doneTokens: 1_500, pendingTokens: 7, waiting: 0 }]);
  const [silent] = maker.make(3n, report([{ doneTokens: 2_500 }]), second(3)).backends;
  expect(silent?.doneTokens).toBe(0);
  expect(silent?.waiting).toBeUndefined();
});

test("demand is what was added; a model that nobody asks for is left out, one with held requests is not", () => {
  const maker = createReportMaker(node, () => undefined, 0);
  const pool = { model: "big", requests: 0, tokens: 0, sentAway: 0, held: 0, heldTokens: 0 };
  const frameOf = (sequence: bigint, more: Partial<typeof pool>) =>
    maker.make(sequence, report([], { pools: [{ ...pool, ...more }] }), second(Number(sequence)))
      .pools;
  expect(frameOf(1n, {})).toEqual([]);
  expect(frameOf(2n, { requests: 4, tokens: 900.6, held: 1, heldTokens: 200 })).toMatchObject([
    { model: "big", requests: 4, tokens: 901, sentAway: 0, held: 1, heldTokens: 200 },
  ]);
  expect(frameOf(3n, { requests: 4, tokens: 900.6, held: 1, heldTokens: 200 })).toMatchObject([
    { requests: 0, tokens: 0, held: 1, heldTokens: 200 },
  ]);
  expect(frameOf(4n, { requests: 4, tokens: 900.6, sentAway: 1 })).toMatchObject([
    { requests: 0, sentAway: 1, held: 0 },
  ]);
  expect(frameOf(5n, { requests: 4, tokens: 900.6, sentAway: 1 })).toEqual([]);
});
