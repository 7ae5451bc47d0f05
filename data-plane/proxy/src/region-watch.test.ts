import type { EngineReport } from "@meridian/data-core/engine";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RegionWatch } from "./region-watch.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

function open() {
  const edge = { answered: 1_000_000, failed: 1_000_000 };
  let now = 0;
  const report = (): EngineReport => ({
    version: undefined,
    region: "eu",
    draining: false,
    stateAgeMs: 100,
    liveRequests: 0,
    requests: 0,
    inputTokens: 0,
    outputTokens: 0,
    edge: { ...edge },
    backends: [
      {
        name: "a",
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
      },
    ],
    peers: [],
    pools: [],
  });
  const watch = new RegionWatch({
    region: "eu",
    clock: { now: () => now, wall: () => now },
    report,
    status: () => ({
      link: "waiting",
      control: undefined,
      held: fixtureSnapshot("eu", {}),
      stateAge: { kind: "fresh", ms: 0 },
      refused: undefined,
      retryAt: 0,
    }),
    isStopping: () => false,
    weights: () => new Map(),
  });
  const seconds = (count: number, answered: number, failed: number) => {
    for (let each = 0; each < count; each++) {
      now += 1_000;
      edge.answered += answered;
      edge.failed += failed;
      vi.advanceTimersByTime(1_000);
    }
  };
  return { watch, seconds, edge };
}

test("clients that fail close the region, and a minute without failures opens it", () => {
  const { watch, seconds } = open();
  // What was counted before it began to watch is of no second.
  seconds(3, 10, 0);
  expect(watch.read()).toMatchObject({ isOpen: true, verdict: { standing: "ready" } });
  seconds(3, 2, 8);
  expect(watch.read()).toMatchObject({
    isOpen: false,
    verdict: { standing: "down", weight: 0, reason: "24 of 30 requests of clients failed here" },
  });
  seconds(59, 0, 0);
  expect(watch.read().isOpen).toBe(false);
  seconds(1, 0, 0);
  expect(watch.read()).toMatchObject({ isOpen: true, verdict: { standing: "ready", weight: 255 } });
  watch.close();
});

test("questions between two seconds are no evidence: one burst alone never closes it", () => {
  const { watch, seconds, edge } = open();
  seconds(1, 0, 0);
  for (let each = 0; each < 50; each++) {
    edge.failed += 10;
    watch.read();
  }
  seconds(1, 0, 0);
  expect(watch.read().isOpen).toBe(true);
  watch.close();
});
