import { expect, test } from "vitest";
import { percentiles } from "./report.ts";
import { generateTrace, parseAzure, parseMooncake } from "./trace.ts";

test("a row of the Azure trace is read, its header is none", () => {
  expect(parseAzure("TIMESTAMP,ContextTokens,GeneratedTokens", 0)).toBeUndefined();
  expect(parseAzure("2023-11-16 18:17:03.9799600,4808,10", 1)).toMatchObject({
    atMs: Date.UTC(2023, 10, 16, 18, 17, 3, 979),
    promptTokens: 4_808,
    outputTokens: 10,
  });
});

test("rows of the Mooncake trace with equal first blocks share a prefix", () => {
  const row = (ids: readonly number[]) =>
    parseMooncake(
      JSON.stringify({ timestamp: 5, input_length: 9, output_length: 2, hash_ids: ids }),
    );
  expect(row([1, 2, 3])?.prefix).toBe(row([1, 2, 4])?.prefix);
  expect(row([1, 2, 3])?.prefix).not.toBe(row([1, 3, 3])?.prefix);
});

test("the generated workload is the same each time and has the recorded one's shape", () => {
  const { arrivals } = generateTrace(2_000);
  expect(generateTrace(2_000).arrivals).toEqual(arrivals);
  const prompt = percentiles(arrivals.map((each) => each.promptTokens));
  expect(prompt.p50).toBeGreaterThan(1_300);
  expect(prompt.p50).toBeLessThan(1_700);
  const lastSeconds = (arrivals.at(-1)?.atMs ?? 0) / 1_000;
  expect(arrivals.length / lastSeconds).toBeGreaterThan(2);
  expect(arrivals.length / lastSeconds).toBeLessThan(3.2);
});

test("percentiles are by nearest rank", () => {
  expect(percentiles([])).toEqual({ p50: 0, p90: 0, p99: 0 });
  expect(percentiles(Array.from({ length: 100 }, (_, index) => index + 1))).toEqual({
    p50: 50,
    p90: 90,
    p99: 99,
  });
});
