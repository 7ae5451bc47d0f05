// Workloads from recorded traces: lengths, prefixes and the rhythm of arrivals are the trace's; the pace is stretched to
// the load that is asked for, and regions are given out by the demand of the moment, whole conversations to one region.

import { readFileSync } from "node:fs";
import { type Random, seededRandom } from "@meridian/proto/base";
import { drawRegion } from "./demand.ts";
import { blocksIn, Texts } from "./text.ts";
import { blockTokens, type Demand, type Session, type Workload } from "./work.ts";

type Row = {
  readonly atMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** One for each 512 tokens of the prompt, the last one begun; empty: the trace knows no prefixes. */
  readonly hashIds: readonly number[];
};

const tokensPerHash = 512;
/** So many rows begin with one id: then it is a system prompt, not one conversation. */
const popular = 24;

/** Reads `{"timestamp","input_length","output_length","hash_ids"}` lines (kvcache-ai/Mooncake) or Azure's CSV. */
export function recordedWorkload(file: string): Workload {
  const text = readFileSync(file, "utf8");
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const isMooncake = lines[0]?.startsWith("{") === true;
  const rows = lines.flatMap((line) => (isMooncake ? mooncakeRow(line) : azureRow(line)));
  if (rows.length === 0) throw new Error(`${file} has no request in a form that is known`);
  return isMooncake ? workload({ ...mooncake, rows }) : workload({ ...azureCode, rows });
}

type Recorded = Omit<Workload, "sessions"> & {
  readonly rows: readonly Row[];
  /** Arrivals are recorded in steps of so many milliseconds. */
  readonly tickMs: number;
};

/** Prompts of 12,000 tokens in the mean, of a large model: Mooncake's own objective is 30 s (FAST '25). */
const mooncake = {
  name: "mooncake",
  objectiveMs: 15_000,
  server: "large",
  guess: 4,
  tickMs: 3_000,
} as const;

const azureCode = {
  name: "azure-code",
  objectiveMs: 2_000,
  server: "small",
  guess: 16,
  tickMs: 0,
} as const;

function workload(recorded: Recorded): Workload {
  const uses = recorded.rows.flatMap((row) => row.hashIds);
  const counts = new Map<number, number>();
  for (const id of uses) counts.set(id, (counts.get(id) ?? 0) + 1);
  const { rows: _, tickMs: __, ...shown } = recorded;
  return { ...shown, sessions: (demand) => sessionsOf(recorded, counts, demand) };
}

/** A part of the trace that begins where the seed says and is as long as the load needs. */
function sessionsOf(
  { name, rows, tickMs }: Recorded,
  counts: ReadonlyMap<number, number>,
  demand: Demand,
): readonly Session[] {
  const random = seededRandom(`${name}/${demand.seed}`);
  const wanted = Math.round((demand.requestsPerSecond * demand.durationMs) / 1_000);
  const count = Math.min(wanted, rows.length);
  const first = Math.floor(random.next() * (rows.length - count));
  const part = rows.slice(first, first + count);
  const from = part[0]?.atMs ?? 0;
  const length = (part.at(-1)?.atMs ?? 0) - from + Math.max(1, tickMs);
  const stretch = count / demand.requestsPerSecond / length;
  const texts = new Texts(`${name}/${demand.seed}`);
  const regions = new Map<number, number>();
  const sessions = part.map((row): Session => {
    const jitter = tickMs * random.next();
    const atMs = (row.atMs - from + jitter) * stretch * 1_000;
    const region = regionOf(row, { counts, regions, demand, atMs, random });
    return { atMs, region, steps: [stepOfRow(row, texts)] };
  });
  return sessions.sort((a, b) => a.atMs - b.atMs);
}

/** Who goes on with a conversation is where it was begun. */
function regionOf(
  row: Row,
  {
    counts,
    regions,
    demand,
    atMs,
    random,
  }: {
    readonly counts: ReadonlyMap<number, number>;
    readonly regions: Map<number, number>;
    readonly demand: Demand;
    readonly atMs: number;
    readonly random: Random;
  },
): number {
  const own = row.hashIds.filter((id) => (counts.get(id) ?? 0) <= popular);
  const known = own.map((id) => regions.get(id)).find((region) => region !== undefined);
  const region = known ?? drawRegion(demand, atMs, random);
  for (const id of own) regions.set(id, region);
  return region;
}

function stepOfRow(row: Row, texts: Texts): Session["steps"][number] {
  const { promptTokens, outputTokens } = row;
  const perHash = tokensPerHash / blockTokens;
  const count = blocksIn(promptTokens);
  const blocks =
    row.hashIds.length === 0
      ? texts.fresh(count)
      : Array.from({ length: count }, (_, at) => {
          const id = row.hashIds[Math.floor(at / perHash)] ?? 0;
          return id * perHash + (at % perHash);
        });
  return { after: -1, thinkMs: 0, promptTokens, outputTokens, blocks, blocksAfter: blocks };
}

function mooncakeRow(line: string): readonly Row[] {
  const row: unknown = JSON.parse(line);
  if (typeof row !== "object" || row === null) return [];
  // A recorded row; what is no number is sorted out below.
  const { timestamp, input_length, output_length, hash_ids } = row as {
    [name: string]: unknown;
  };
  const hashIds = Array.isArray(hash_ids) ? hash_ids.map(Number) : [];
  return rowOf(Number(timestamp), Number(input_length), { output: Number(output_length), hashIds });
}

function azureRow(line: string): readonly Row[] {
  const [timestamp = "", prompt, output] = line.split(",");
  // Seven digits of a second are more than a date understands.
  const atMs = Date.parse(`${timestamp.trim().replace(" ", "T").slice(0, 23)}Z`);
  return rowOf(atMs, Number(prompt), { output: Number(output), hashIds: [] });
}

function rowOf(
  atMs: number,
  prompt: number,
  { output, hashIds }: { readonly output: number; readonly hashIds: readonly number[] },
): readonly Row[] {
  if (![atMs, prompt, output].every(Number.isFinite)) return [];
  return [{ atMs, promptTokens: Math.max(1, prompt), outputTokens: Math.max(1, output), hashIds }];
}
