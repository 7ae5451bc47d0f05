import fc from "fast-check";
import { expect, test } from "vitest";
import { type ModelSize, presets } from "./model-size.ts";
import { prefixBlocks } from "./prefix-cache.ts";
import { type Emission, type Job, scheduler } from "./scheduler.ts";

const size: ModelSize = {
  ...presets.small,
  prefillMsPerToken: 1,
  decodeMs: 10,
  decodeMsPerSequence: 2,
  slots: 2,
  queueMax: 1,
};

function job(id: number, promptTokens: number, outputTokens: number, more: Partial<Job> = {}): Job {
  return { id, promptTokens, outputTokens, blocks: [], slowness: 1, ...more };
}

function tokenTimes(emissions: readonly Emission[], id: number): readonly number[] {
  return emissions.flatMap((each) => (each.kind === "token" && each.id === id ? [each.at] : []));
}

test("the first token comes after the prefill, the others one step apart", () => {
  const engine = scheduler(size, 1);
  engine.submit(job(1, 100, 3), 0);
  expect(tokenTimes(engine.advance(1_000), 1)).toEqual([100, 112, 124]);
});

test("a step grows with the batch", () => {
  const engine = scheduler({ ...size, prefillMsPerToken: 0 }, 1);
  engine.submit(job(1, 1, 3), 0);
  engine.submit(job(2, 1, 3), 0);
  const [, second = 0, third = 0] = tokenTimes(engine.advance(1_000), 1);
  expect(third - second).toBeCloseTo(14);
});

test("what finds no slot waits, and what finds no place in the queue is refused", () => {
  const engine = scheduler(size, 1);
  const taken = [1, 2, 3, 4].map((id) => engine.submit(job(id, 10, 2), 0));
  expect(taken).toEqual([true, true, true, false]);
  // Nobody has looked at those that came within the step.
  expect(engine.load()).toMatchObject({ running: 1, waiting: 2, queued: 0 });
  engine.advance(10);
  expect(engine.load()).toMatchObject({ running: 2, waiting: 1, queued: 1 });
});

test("an equal prefix is computed once", () => {
  const engine = scheduler(size, 1);
  const blocks = prefixBlocks("x".repeat(4 * 512));
  engine.submit(job(1, 513, 1, { blocks }), 0);
  expect(tokenTimes(engine.advance(5_000), 1)).toEqual([513]);
  engine.submit(job(2, 513, 1, { blocks }), 5_000);
  expect(tokenTimes(engine.advance(9_000), 2)).toEqual([5_001]);
  expect(engine.load().prefixHits).toBe(512);
});

test("a cancelled job gives its slot to the next one and says nothing more", () => {
  const engine = scheduler({ ...size, slots: 1 }, 1);
  engine.submit(job(1, 10, 100), 0);
  engine.submit(job(2, 10, 1), 0);
  engine.advance(50);
  engine.cancel(1);
  const later = engine.advance(10_000);
  expect(tokenTimes(later, 1)).toEqual([]);
  expect(tokenTimes(later, 2)).toHaveLength(1);
});

test("a slow job takes its factor longer, a speed factor divides all times", () => {
  const slow = scheduler(size, 1);
  slow.submit(job(1, 100, 2, { slowness: 4 }), 0);
  expect(tokenTimes(slow.advance(10_000), 1)[0]).toBe(400);
  const fast = scheduler(size, 10);
  fast.submit(job(1, 100, 1), 0);
  expect(tokenTimes(fast.advance(10_000), 1)).toEqual([10]);
});

test("every job that was taken and not cancelled emits its tokens in order and ends once", () => {
  const jobs = fc.array(
    fc.record({
      prompt: fc.integer({ min: 1, max: 3_000 }),
      output: fc.integer({ min: 0, max: 20 }),
      slowness: fc.integer({ min: 1, max: 3 }),
      gap: fc.integer({ min: 0, max: 500 }),
      cancel: fc.boolean(),
    }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(jobs, (list) => {
      const engine = scheduler({ ...size, queueMax: 50 }, 1);
      const seen: Emission[] = [];
      const live = new Map<number, number>();
      let now = 0;
      for (const [id, each] of list.entries()) {
        now += each.gap;
        seen.push(...engine.advance(now));
        const { slowness } = each;
        if (engine.submit(job(id, each.prompt, each.output, { slowness }), now)) {
          live.set(id, each.output);
        }
        if (each.cancel) {
          engine.cancel(id);
          live.delete(id);
        }
      }
      seen.push(...engine.advance(now + 10_000_000));
      for (const [id, output] of live) {
        const indexes = seen.flatMap((each) =>
          each.kind === "token" && each.id === id ? [each.index] : [],
        );
        expect(indexes).toEqual(Array.from({ length: output }, (_, index) => index));
        expect(seen.filter((each) => each.kind === "done" && each.id === id)).toHaveLength(1);
      }
      expect(engine.load()).toMatchObject({ running: 0, waiting: 0, kvUsed: 0 });
    }),
  );
});
