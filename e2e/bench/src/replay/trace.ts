// Arrivals to replay: recorded ones of production services, or generated ones that resemble them.

import { readFileSync } from "node:fs";
import { type Random, seededRandom } from "@meridian/proto/base";

/** One request of a workload. */
export type Arrival = {
  /** Since the first arrival, at the recorded pace. */
  readonly atMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Requests with an equal text here begin alike, so that a prefix cache can help. */
  readonly prefix: string;
};

export type Trace = { readonly name: string; readonly arrivals: readonly Arrival[] };

/**
 * Reads a trace by its form: `TIMESTAMP,ContextTokens,GeneratedTokens` (Azure/AzurePublicDataset) or lines of
 * `{"timestamp","input_length","output_length","hash_ids"}` (kvcache-ai/Mooncake). Throws when it is neither.
 */
export function readTrace(file: string, countMax: number): Trace {
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const parse = lines[0]?.startsWith("{") ? parseMooncake : parseAzure;
  const rows = lines
    .map(parse)
    .filter((row) => row !== undefined)
    .slice(0, countMax);
  const [first] = rows;
  if (first === undefined) throw new Error(`${file} has no request in a form that is known`);
  const arrivals = rows.map((row) => ({ ...row, atMs: row.atMs - first.atMs }));
  const name = file.split("/").at(-1) ?? file;
  return { name, arrivals };
}

/** undefined for the header and for what is no row. */
export function parseAzure(line: string, index: number): Arrival | undefined {
  const [timestamp = "", prompt, output] = line.split(",");
  // Seven digits of a second are more than a date understands.
  const atMs = Date.parse(`${timestamp.trim().replace(" ", "T").slice(0, 23)}Z`);
  return arrival(atMs, {
    prompt: Number(prompt),
    output: Number(output),
    prefix: `azure ${index}`,
  });
}

export function parseMooncake(line: string): Arrival | undefined {
  const row: unknown = JSON.parse(line);
  if (typeof row !== "object" || row === null) return undefined;
  // A recorded row; numbers that are none are sorted out below.
  const { timestamp, input_length, output_length, hash_ids } = row as {
    [name: string]: unknown;
  };
  const prefix = Array.isArray(hash_ids)
    ? `mooncake ${hash_ids.slice(0, 2).join(" ")}`
    : "mooncake";
  return arrival(Number(timestamp), {
    prompt: Number(input_length),
    output: Number(output_length),
    prefix,
  });
}

function arrival(
  atMs: number,
  sizes: { readonly prompt: number; readonly output: number; readonly prefix: string },
): Arrival | undefined {
  const numbers = [atMs, sizes.prompt, sizes.output];
  if (!numbers.every(Number.isFinite)) return undefined;
  return {
    atMs,
    promptTokens: Math.max(1, sizes.prompt),
    outputTokens: Math.max(1, sizes.output),
    prefix: sizes.prefix,
  };
}

/**
 * A workload with the shape of the Azure code trace: 2.5 requests a second in bursts, log-normal prompts (median
 * 1,500 tokens), log-normal answers (median 13, few of several hundred).
 */
export function generateTrace(count: number, seed = "replay"): Trace {
  const random = seededRandom(seed);
  const arrivals: Arrival[] = [];
  let atMs = 0;
  for (let index = 0; index < count; index++) {
    // Two of three requests follow closely on the one before: code assistants ask in bursts.
    const gapMs = random.next() < 0.66 ? 60 : 1_050;
    atMs += -Math.log(1 - random.next()) * gapMs;
    arrivals.push({
      atMs,
      promptTokens: Math.min(7_500, Math.ceil(1_500 * Math.exp(0.8 * normal(random)))),
      outputTokens: Math.min(1_000, Math.ceil(13 * Math.exp(1.0 * normal(random)))),
      prefix: `generated ${random.integer(50)}`,
    });
  }
  return { name: `generated (seed ${seed})`, arrivals };
}

/** Standard normal, by Box and Muller. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
