// The model server in virtual time against sums by hand, and the speed of the kernel.

import { expect, test } from "vitest";
import { type Job, type JobListener, ModelServer, type ServerSize } from "./model-server.ts";
import { Timeline } from "./timeline.ts";

const size: ServerSize = {
  prefillMsPerToken: 1,
  decodeMs: 10,
  decodeMsPerSequence: 1,
  slots: 2,
  queueMax: 1,
  kvBlocks: 100,
  blockTokens: 10,
  chunkTokens: 100,
};

type Heard = { first: number | undefined; hit: number; end: number | undefined; ending: string };

function listener(): { readonly heard: Heard; readonly listener: JobListener } {
  const heard: Heard = { first: undefined, hit: 0, end: undefined, ending: "" };
  return {
    heard,
    listener: {
      onFirstToken: (now, hit) => {
        heard.first = now;
        heard.hit = hit;
      },
      onEnd: (now, ending) => {
        heard.end = now;
        heard.ending = ending;
      },
    },
  };
}

function server(timeline: Timeline, change: Partial<ServerSize> = {}): ModelServer {
  return new ModelServer(timeline, { name: "a", region: "r" }, { ...size, ...change });
}

const job: Job = { blocks: [1, 2, 3, 4, 5], inputTokens: 50, outputTokens: 4 };

test("a lone request pays its prefill and then one decode step for each further token", () => {
  const timeline = new Timeline();
  const { heard, listener: told } = listener();
  server(timeline).submit(job, told);
  timeline.runUntil(1_000);
  expect(heard).toEqual({ first: 50, hit: 0, end: 50 + 3 * 11, ending: "complete" });
});

test("a prompt beyond a chunk takes several steps", () => {
  const timeline = new Timeline();
  const { heard, listener: told } = listener();
  server(timeline).submit({ blocks: [], inputTokens: 250, outputTokens: 1 }, told);
  timeline.runUntil(1_000);
  expect(heard.first).toBe(250);
  expect(heard.end).toBe(250);
});

test("who arrives during a run of decode steps begins at the next step's end, and slows the others", () => {
  const timeline = new Timeline();
  const long = listener();
  const late = listener();
  const one = server(timeline);
  one.submit({ blocks: [], inputTokens: 10, outputTokens: 101 }, long.listener);
  // Steps of 11 end at 10, 21, 32, …
  timeline.at(25, () =>
    one.submit({ blocks: [], inputTokens: 20, outputTokens: 2 }, late.listener),
  );
  timeline.runUntil(10_000);
  // From 32 on: 20 of prefill with one decode step of 11.
  expect(late.heard.first).toBe(63);
  // One step with two in the batch.
  expect(late.heard.end).toBe(75);
  // 100 steps after the first token: 98 of 11, one of 31, one of 12.
  expect(long.heard.end).toBe(10 + 98 * 11 + 31 + 12);
});

test("an equal beginning is not computed again, but for the last token", () => {
  const timeline = new Timeline();
  const again = listener();
  const longer = listener();
  const one = server(timeline);
  one.submit(job, listener().listener);
  timeline.at(500, () => one.submit(job, again.listener));
  timeline.at(900, () =>
    one.submit({ blocks: [1, 2, 9], inputTokens: 39, outputTokens: 1 }, longer.listener),
  );
  timeline.runUntil(2_000);
  expect(again.heard).toMatchObject({ first: 501, hit: 49 });
  expect(longer.heard).toMatchObject({ first: 919, hit: 20 });
});

test("who goes on after an answer finds the answer, too", () => {
  const timeline = new Timeline();
  const one = server(timeline);
  const next = listener();
  const blocksAfter = [1, 2, 3];
  one.submit({ blocks: [1], blocksAfter, inputTokens: 15, outputTokens: 16 }, listener().listener);
  timeline.runUntil(500);
  expect(one.metrics().kvUse).toBe(0);
  one.submit({ blocks: [1, 2, 3, 4], inputTokens: 45, outputTokens: 1 }, next.listener);
  timeline.runUntil(1_000);
  expect(next.heard).toMatchObject({ first: 515, hit: 30 });
});

test("who finds no room in the step for a part of its prompt is told as waiting", () => {
  const timeline = new Timeline();
  const one = server(timeline, { slots: 8, queueMax: 8 });
  for (let n = 0; n < 3; n++) {
    one.submit({ blocks: [], inputTokens: 150, outputTokens: 5 }, listener().listener);
  }
  timeline.runUntil(120);
  // The first has 50 tokens to go, the second takes the other half of the step.
  expect(one.metrics()).toMatchObject({ running: 2, waiting: 1 });
});

test("memory for running sequences pushes out the blocks that were left alone for longest", () => {
  const timeline = new Timeline();
  const one = server(timeline, { kvBlocks: 10 });
  one.submit({ blocks: [1, 2, 3], inputTokens: 30, outputTokens: 1 }, listener().listener);
  timeline.runUntil(100);
  one.submit({ blocks: [4, 5, 6], inputTokens: 30, outputTokens: 1 }, listener().listener);
  timeline.runUntil(200);
  expect([one.holds([1, 2, 3]), one.holds([4, 5, 6])]).toEqual([3, 3]);
  one.submit({ blocks: [7, 8, 9], inputTokens: 30, outputTokens: 25 }, listener().listener);
  timeline.runUntil(250);
  // The chain's root goes last.
  expect([one.holds([1, 2, 3]), one.holds([4, 5, 6])]).toEqual([1, 3]);
  timeline.runUntil(1_000);
  expect(one.metrics()).toMatchObject({ running: 0, waiting: 0, kvUse: 0 });
});

test("beyond slots a request waits, beyond the queue it is refused", () => {
  const timeline = new Timeline();
  const one = server(timeline);
  for (let n = 0; n < 3; n++) expect(one.submit(job, listener().listener)).toBeDefined();
  expect(one.metrics()).toMatchObject({ running: 1, waiting: 2 });
  expect(one.submit(job, listener().listener)).toBeUndefined();
  timeline.runUntil(60);
  expect(one.metrics()).toMatchObject({ running: 2, waiting: 1 });
});

test("who leaves gives its place to the next, and its tokens until then are counted", () => {
  const timeline = new Timeline();
  const one = server(timeline, { slots: 1 });
  const next = listener();
  const first = one.submit(
    { blocks: [], inputTokens: 10, outputTokens: 1_000 },
    listener().listener,
  );
  one.submit({ blocks: [], inputTokens: 10, outputTokens: 1 }, next.listener);
  timeline.at(50, () => {
    if (first !== undefined) {
      expect(one.emitted(first)).toBe(4);
      one.cancel(first);
    }
  });
  timeline.runUntil(10_000);
  expect(next.heard.first).toBe(54 + 10);
  expect(one.totals.outputTokens).toBe(4 + 1);
});

test("a crash cuts everything inside and forgets the cache", () => {
  const timeline = new Timeline();
  const one = server(timeline);
  const inside = listener();
  one.submit(job, inside.listener);
  timeline.at(55, () => one.crash());
  timeline.runUntil(1_000);
  expect(inside.heard).toMatchObject({ first: 50, end: 55, ending: "cut" });
  expect(one.holds(job.blocks)).toBe(0);
});
