// The fault matrix with aimock as the model server: one that fails by its own switches, and one that is well.

import { LLMock } from "@copilotkit/aimock";
import type { PolicyDocument } from "@meridian/harness";
import { ask } from "../ask.ts";
import type { Bed } from "../matrix/bed.ts";
import { frontDifferences } from "../matrix/compare.ts";
import { decisionOf } from "../matrix/decision.ts";
import { expectationOf, limits, wholeTokensMax } from "../matrix/oracle.ts";
import type { CellResult } from "../matrix/run-cell.ts";
import type { Asked, Reading } from "../question.ts";
import { aimockCases, type aimockCells, chunkSize, content } from "./cases.ts";

type AimockCell = ReturnType<typeof aimockCells>[number];

/** Which of the two servers is asked first is chance: so often a cell asks until the failing one was it. */
const triesMax = 60;
const wellMs = 45_000;

/** The two servers, in this process. */
export class AimockBed {
  readonly #failing = new LLMock({ chunkSize, logLevel: "silent" });
  readonly #well = new LLMock({ chunkSize, logLevel: "silent" });
  #urls: readonly string[] = [];

  async start(): Promise<void> {
    for (const { name, answer, options } of aimockCases) {
      this.#failing.on({ userMessage: prompt(name) }, { ...answer }, options);
      const said = "content" in answer ? answer.content : content;
      this.#well.on({ userMessage: prompt(name) }, { content: said }, { chunkSize });
    }
    this.#urls = await Promise.all([this.#failing.start(), this.#well.start()]);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#failing.stop(), this.#well.stop()]);
  }

  /**
   * Backends, models and a route for them. The failing server is another backend for each case: all failures together
   * would be held against one, and what is held out does not fail.
   */
  policy(policy: PolicyDocument): PolicyDocument {
    const region = policy.regions[0]?.name ?? "";
    const names = aimockCases.map((each) => each.name);
    const served = (alternatives: 0 | 1) => (name: string) => ({
      model: modelOf(name, alternatives),
    });
    const [failingUrl = "", wellUrl = ""] = this.#urls;
    const failing = names.map((name) => ({
      name: failingBackend(name),
      region,
      url: failingUrl,
      serves: [served(0)(name), served(1)(name)],
    }));
    const well = { name: "aimock-well", region, url: wellUrl, serves: names.map(served(1)) };
    const route = {
      name: "aimock",
      match: { models: ["aimock-*"] },
      timeouts: limits,
      retry: { attempts: 4, budgetPercent: 100 },
    };
    return {
      ...policy,
      backends: [...policy.backends, ...failing, well],
      models: [
        ...policy.models,
        ...failing.flatMap(({ serves }) => serves.map(({ model: name }) => ({ name }))),
      ],
      routes: [...(policy.routes ?? []), route],
    };
  }
}

/** Cells run in turn: both servers are everybody's. */
export async function runAimockCell(
  bed: Bed,
  cell: AimockCell,
  patience: number,
): Promise<CellResult> {
  const startedAt = performance.now();
  const readings: readonly Reading[] =
    cell.mode === "stream" ? ["iterator", "accumulator"] : ["whole"];
  const found: string[] = [];
  let records = 0;
  for (const reading of readings) {
    await waitUntilWell(bed, cell);
    const askedAtMs = Date.now();
    const asked = await askUntilMet(bed, cell, reading);
    const decision = await decisionOf(bed.ops, asked);
    const evidence = {
      asked,
      askedAtMs,
      leftAtMs: undefined,
      calls: [],
      decision,
      reference: { prompt: prompt(cell.fault), tokens: chunksOf(cell) },
      usageAsked: false,
      patience,
    };
    // It counts tokens in its own way, so what is used is not compared.
    const expected = { ...expectationOf(cell), usage: undefined };
    found.push(...frontDifferences(expected, evidence).map((each) => `${reading}: ${each}`));
    if (decision !== undefined) records += 1;
  }
  return { name: cell.name, differences: found, tookMs: performance.now() - startedAt, records };
}

async function askUntilMet(bed: Bed, cell: AimockCell, reading: Reading): Promise<Asked> {
  for (let turn = 1; ; turn++) {
    const asked = await question(bed, cell, cell.fault, reading);
    const attempts = Number(asked.headers.get("x-meridian-attempts") ?? "0");
    const isMet =
      attempts > 1 ||
      asked.saw.kind === "error" ||
      asked.headers.get("x-meridian-backend") === failingBackend(cell.fault);
    if (isMet || turn === triesMax) return asked;
  }
}

async function waitUntilWell(bed: Bed, cell: AimockCell): Promise<void> {
  const wanted = cell.alternatives === 0 ? 1 : 2;
  const well = new Set<string>();
  const deadline = performance.now() + wellMs;
  while (well.size < wanted) {
    const answers = await Promise.all([1, 2].map(() => question(bed, cell, "plain", "whole")));
    for (const { saw, headers } of answers) {
      if (saw.kind === "answer") well.add(headers.get("x-meridian-backend") ?? "");
    }
    if (performance.now() > deadline) throw new Error(`only ${[...well].join(", ")} came back`);
  }
}

function question(bed: Bed, cell: AimockCell, name: string, reading: Reading): Promise<Asked> {
  return ask({
    endpoint: bed.endpoint,
    model: modelOf(cell.fault, cell.alternatives === 0 ? 0 : 1),
    prompt: prompt(name),
    reading,
    ...(reading === "whole" ? { more: { max_tokens: wholeTokensMax } } : {}),
  });
}

function modelOf(fault: string, alternatives: 0 | 1): string {
  return `aimock-${alternatives}-${fault}`;
}

function failingBackend(fault: string): string {
  return `aimock-failing-${fault}`;
}

/** No prompt is a part of another: aimock matches by what a message contains. */
function prompt(name: string): string {
  return `<${name}>`;
}

function chunksOf({ fixture }: AimockCell): readonly string[] {
  const said = "content" in fixture.answer ? fixture.answer.content : content;
  return said.match(new RegExp(`.{1,${chunkSize}}`, "g")) ?? [];
}
