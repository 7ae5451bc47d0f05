import { expect, test } from "vitest";
import { OwnTime } from "./own-time.ts";

test("own time is the time between waits, and waits are told apart from it", () => {
  const timing = new OwnTime();
  timing.run(1_000);
  timing.wait(1_000.25, "upstream");
  timing.run(1_050);
  timing.wait(1_050.25, "upstream");
  timing.run(1_100);
  timing.stop(1_100.5);
  expect(timing.ownMs).toBeCloseTo(1);
  expect(timing.header()).toBe('meridian;dur=1.00;desc="own", upstream;dur=99.5');
});

test("the wait for a place is told apart from that for an answer", () => {
  const timing = new OwnTime();
  timing.run(0);
  timing.wait(1, "queue");
  timing.run(41);
  timing.wait(42, "upstream");
  timing.run(142);
  timing.stop(143);
  expect(timing.header()).toBe('meridian;dur=3.00;desc="own", queue;dur=40.0, upstream;dur=100.0');
});

test("a request that no upstream saw has its own time alone", () => {
  const timing = new OwnTime();
  timing.run(5);
  timing.stop(5.5);
  timing.stop(9);
  expect(timing.header()).toBe('meridian;dur=0.50;desc="own"');
});
