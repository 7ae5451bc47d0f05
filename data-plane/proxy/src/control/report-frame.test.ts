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
    ejected: false,
    draining: false,
    verdict: "none" as const,
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
    peers: [],
    ...more,
    backends: complete,
  } satisfies EngineReport;
}

test("counts are what was added since the frame before; what is under way is as it is", () => {
  const maker = createReportMaker(node);
  maker.make(1n, report([{ started: 5, succeeded: 3, failed: 1, inFlight: 1 }]), false);
  const frame = maker.make(
    2n,
    report([{ started: 9, succeeded: 7, failed: 1, inFlight: 1 }]),
    false,
  );
  expect(frame.backends).toMatchObject([{ started: 4, succeeded: 4, failed: 0, inFlight: 1 }]);
});

test("a backend that begins to count anew is not reported with less than nothing", () => {
  const maker = createReportMaker(node);
  maker.make(1n, report([{ started: 100 }]), false);
  expect(maker.make(2n, report([{ started: 3 }]), false).backends[0]?.started).toBe(3);
});

test("a backend that is new is reported with all that it counted", () => {
  const maker = createReportMaker(node);
  maker.make(1n, report([{ name: "b0", started: 1 }]), false);
  const frame = maker.make(
    2n,
    report([
      { name: "b0", started: 1 },
      { name: "b1", started: 2 },
    ]),
    false,
  );
  expect(frame.backends.map((each) => each.started)).toEqual([0, 2]);
});

test("a proxy that never had a state frame says so", () => {
  const frame = createReportMaker(node).make(1n, report([]), true);
  expect(frame).toMatchObject({ stateAgeMs: 0xffff_ffff, draining: true, node: { id: "p1" } });
  expect(createReportMaker(node).make(1n, report([], { stateAgeMs: 12.6 }), false).stateAgeMs).toBe(
    13,
  );
});
