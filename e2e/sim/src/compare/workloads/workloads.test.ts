// Workloads: what they say of themselves holds.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "@meridian/proto/base";
import { expect, onTestFinished, test } from "vitest";
import { dayMs, starts, tide } from "./demand.ts";
import { generatedWorkloads } from "./generated.ts";
import { recordedWorkload } from "./recorded.ts";
import { prefixOf } from "./text.ts";
import { blockTokens, type Demand, type Session } from "./work.ts";

const demand: Demand = {
  requestsPerSecond: 20,
  durationMs: 60_000,
  phase: 0.25,
  shares: [0.4, 0.3, 0.3],
  peakToTrough: 4,
  seed: "test",
};

const steps = (sessions: readonly Session[]) => sessions.flatMap((each) => each.steps);
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

test.each(generatedWorkloads)("$name: equal seeds ask alike, other seeds otherwise", (workload) => {
  const one = workload.sessions(demand);
  expect(workload.sessions(demand)).toEqual(one);
  expect(workload.sessions({ ...demand, seed: "other" })).not.toEqual(one);
});

test.each(generatedWorkloads)(
  "$name: each answer is the beginning of what follows it",
  (workload) => {
    for (const { steps: own } of workload.sessions(demand)) {
      for (const step of own) {
        expect(step.blocks.length).toBe(Math.floor(step.promptTokens / blockTokens));
        expect(step.blocksAfter.slice(0, step.blocks.length)).toEqual(step.blocks);
        const before = own[step.after];
        if (before === undefined) continue;
        expect(step.promptTokens).toBeGreaterThan(before.promptTokens + before.outputTokens);
        expect(step.blocks.slice(0, before.blocksAfter.length)).toEqual(before.blocksAfter);
      }
    }
  },
);

test("chats have five turns in the mean, messages of 500 and answers of 250 tokens in the median", () => {
  const [chat] = generatedWorkloads;
  const sessions = chat?.sessions({ ...demand, durationMs: 600_000 }) ?? [];
  // Some are cut before they outgrow the model.
  expect(mean(sessions.map((each) => each.steps.length))).toBeGreaterThan(4.3);
  expect(mean(sessions.map((each) => each.steps.length))).toBeLessThan(5.3);
  const answers = steps(sessions)
    .map((each) => each.outputTokens)
    .sort((a, b) => a - b);
  expect(answers[Math.floor(answers.length / 2)]).toBeGreaterThan(225);
  expect(answers[Math.floor(answers.length / 2)]).toBeLessThan(275);
});

test("a region's demand follows the sun, four times as much at the peak, eight hours apart", () => {
  const hours = Array.from({ length: 24 }, (_, hour) => (hour / 24) * dayMs);
  const byRegion = [0, 1, 2].map((region) => hours.map((at) => tide(demand, region, at)));
  const peaks = byRegion.map((tides) => tides.indexOf(Math.max(...tides)));
  expect(peaks).toEqual([0, 16, 8]);
  for (const tides of byRegion) expect(Math.max(...tides) / Math.min(...tides)).toBeCloseTo(4, 5);
  const begun = starts({ ...demand, durationMs: dayMs }, 5, seededRandom("day"));
  expect(begun.length / 18_000).toBeGreaterThan(0.97);
  expect(begun.length / 18_000).toBeLessThan(1.03);
  const first = begun.filter((each) => each.region === 0).length / begun.length;
  expect(first).toBeGreaterThan(0.38);
  expect(first).toBeLessThan(0.42);
});

test("the product's prefix names every 256 tokens of the first 16,384", () => {
  const blocks = Array.from({ length: 300 }, (_, at) => at);
  expect(prefixOf(blocks.slice(0, 3))).toEqual([]);
  expect(prefixOf(blocks.slice(0, 9))).toEqual([3, 7]);
  expect(prefixOf(blocks)).toHaveLength(64);
});

function traceFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-trace-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "trace"), text);
  return join(folder, "trace");
}

test("a trace of Mooncake's form: equal hashes are equal blocks, and a conversation stays in its region", () => {
  const rows = Array.from({ length: 400 }, (_, at) => {
    const conversation = at % 40;
    const turn = Math.floor(at / 40);
    const own = Array.from({ length: turn + 1 }, (__, block) => 1 + conversation * 100 + block);
    return JSON.stringify({
      timestamp: at * 500,
      input_length: 512 * (own.length + 1),
      output_length: 10,
      hash_ids: [0, ...own],
    });
  });
  const sessions = recordedWorkload(traceFile(rows.join("\n"))).sessions({
    ...demand,
    requestsPerSecond: 4,
    durationMs: 100_000,
  });
  expect(sessions).toHaveLength(400);
  expect(sessions.at(-1)?.atMs).toBeLessThan(100_000);
  const regions = new Map<number, Set<number>>();
  for (const { region, steps: own } of sessions) {
    const blocks = own[0]?.blocks ?? [];
    expect(blocks.slice(0, 8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const key = blocks[8] ?? -1;
    regions.set(key, (regions.get(key) ?? new Set()).add(region));
  }
  expect(regions.size).toBe(40);
  expect([...regions.values()].every((each) => each.size === 1)).toBe(true);
});

test("a trace of Azure's form knows no prefixes; what is no trace is refused", () => {
  const text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n";
  const sessions = recordedWorkload(traceFile(text)).sessions({
    ...demand,
    requestsPerSecond: 1,
    durationMs: 1_000,
  });
  expect(steps(sessions)).toMatchObject([{ promptTokens: 4_808, outputTokens: 10 }]);
  expect(() => recordedWorkload(traceFile("no,trace\n"))).toThrow(/no request/);
});
