// Order of events: by time, then by the order of their making, whatever is cancelled between.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Timeline, type Timer } from "./timeline.ts";

test("events run by time, equal times in the order of their making, cancelled ones never", () => {
  const plan = fc.array(fc.record({ at: fc.integer({ min: 0, max: 20 }), cancels: fc.boolean() }));
  fc.assert(
    fc.property(plan, fc.infiniteStream(fc.nat()), (events, picks) => {
      const timeline = new Timeline();
      const ran: number[] = [];
      const timers: Timer[] = [];
      const gone = new Set<number>();
      for (const [id, event] of events.entries()) {
        timers.push(timeline.at(event.at, () => ran.push(id)));
        if (!event.cancels) continue;
        const victim = (picks.next().value ?? 0) % timers.length;
        timeline.cancel(timers[victim]);
        gone.add(victim);
      }
      timeline.runUntil(100);
      const wanted = events
        .map((event, id) => ({ at: event.at, id }))
        .filter(({ id }) => !gone.has(id))
        .sort((a, b) => a.at - b.at || a.id - b.id);
      expect(ran).toEqual(wanted.map(({ id }) => id));
      expect(timeline.pending).toBe(0);
    }),
  );
});

test("what is due after the end stays, and the clock stands at the end", () => {
  const timeline = new Timeline();
  const ran: number[] = [];
  timeline.every(10, () => ran.push(timeline.now), 10);
  timeline.runUntil(35);
  expect(ran).toEqual([10, 20, 30]);
  expect(timeline.now).toBe(35);
  timeline.runUntil(40);
  expect(ran.at(-1)).toBe(40);
});
