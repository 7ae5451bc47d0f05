// Runs one cell: everybody well again, the fault put in place, the question asked in each way, the evidence gathered.

import { ask } from "../ask.ts";
import type { Asked, Question, Reading } from "../question.ts";
import { type Bed, isFar, type Lane, modelOf, poolOf } from "./bed.ts";
import type { Cell, Family } from "./cell.ts";
import { differences, type Evidence } from "./compare.ts";
import { decisionOf } from "./decision.ts";
import { expectationOf, wholeTokensMax } from "./oracle.ts";
import { type Reference, referenceFor } from "./reference.ts";
import { addFaults, callsSeen, callsSoFar, removeFaults, type SeenCall } from "./simulator.ts";

export type CellResult = {
  readonly name: string;
  /** Empty: all was as expected. */
  readonly differences: readonly string[];
  readonly tookMs: number;
  /** Decision records that were read and compared. */
  readonly records: number;
};

/** A port's fault meets a request once in two or three. */
const triesMax = 40;
const healMs = 120_000;

/** So many good answers outweigh a failure in the test of outages (proto/src/health): no cell's failure is left over. */
const healCalls = 3;

/** A server is hedged once so many of its first tokens are known. */
const warmCalls = 24;
const settleMs = 1_500;
const pollMs = 15;

/** One worker of the matrix, with what it knows of its lane. */
export class LaneRunner {
  readonly #bed: Bed;
  readonly #lane: Lane;
  readonly #patience: number;
  readonly #references = new Map<string, Reference>();
  /** Models whose servers are known well enough to be hedged. */
  readonly #warm = new Set<string>();

  constructor(bed: Bed, lane: Lane, patience: number) {
    this.#bed = bed;
    this.#patience = patience;
    this.#lane = lane;
  }

  async run(cell: Cell): Promise<CellResult> {
    const startedAt = performance.now();
    const found: string[] = [];
    let records = 0;
    for (const reading of readingsOf(cell)) {
      const evidence = await this.#gather(cell, reading);
      const different = differences(expectationOf(cell), evidence);
      found.push(...different.map((each) => `${reading}: ${each}`));
      if (evidence.decision !== undefined) records += 1;
    }
    return { name: cell.name, differences: found, tookMs: performance.now() - startedAt, records };
  }

  async #gather(cell: Cell, reading: Reading): Promise<Evidence> {
    const { control } = this.#lane;
    const model = this.#modelOf(cell);
    const reference = await this.#reference(model);
    await this.#heal(cell);
    await this.#putFault(cell, model);
    try {
      for (let turn = 1; ; turn++) {
        const after = await callsSoFar(control);
        const askedAtMs = Date.now();
        const { asked, leftAtMs } = await askAndLeave(cell, {
          endpoint: this.#bed.endpoint,
          model,
          prompt: reference.prompt,
          reading,
          more: reading === "whole" ? { max_tokens: wholeTokensMax, ...cell.more } : cell.more,
        });
        if (!this.#wasMet(cell, asked) && turn < triesMax) continue;
        const calls = await this.#settledCalls(after);
        const decision = await decisionOf(this.#bed.ops, asked);
        const usageAsked = cell.more.stream_options !== undefined;
        const patience = this.#patience;
        return { asked, askedAtMs, leftAtMs, calls, decision, reference, usageAsked, patience };
      }
    } finally {
      await removeFaults(control, { model });
      if (cell.onPort) await removeFaults(control, { port: this.#faultyPort() });
    }
  }

  /** A port's fault is met when somebody else had to be asked, or nobody could be. */
  #wasMet(cell: Cell, { headers, saw }: Asked): boolean {
    if (!cell.onPort || saw.kind === "error") return true;
    return Number(headers.get("x-meridian-attempts") ?? "0") > 1;
  }

  #modelOf(cell: Cell): string {
    return modelOf(this.#lane, cell.family, cell.alternatives);
  }

  #faultyPort(): number {
    return this.#lane.ports[0] ?? 0;
  }

  async #putFault(cell: Cell, model: string): Promise<void> {
    const { control } = this.#lane;
    if (!cell.onPort) {
      // Whoever is asked first meets it; the next one is well.
      await addFaults(control, [{ ...cell.rule, model, count: cell.victims }]);
      return;
    }
    const port = this.#faultyPort();
    // Connections that are open already would never meet a fault of new ones.
    await addFaults(control, [{ kind: "refuse", port }]);
    if (cell.rule.kind === "refuse") return;
    await removeFaults(control, { port });
    await addFaults(control, [{ ...cell.rule, port }]);
  }

  async #reference(model: string): Promise<Reference> {
    const known = this.#references.get(model);
    if (known !== undefined) return known;
    const found = await referenceFor(`http://127.0.0.1:${this.#faultyPort()}`, model);
    this.#references.set(model, found);
    return found;
  }

  /** Every server of the pool answers again, through the proxies: what a cell did to one is not the next one's matter. */
  async #heal(cell: Cell): Promise<void> {
    const model = this.#modelOf(cell);
    const { endpoint, farEndpoint } = this.#bed;
    const pool = poolOf(this.#lane, cell.family, cell.alternatives);
    const isCold = cell.family === "hedge" && !this.#warm.has(model);
    const least = isCold ? warmCalls : healCalls;
    // Of another region's server nothing is asked while the own one answers.
    const own = isFar(cell.family) ? pool.slice(0, 1) : pool;
    await this.#healPart(cell.family, { model, endpoint, ports: own, least });
    const far = pool.slice(own.length);
    await this.#healPart(cell.family, { model, endpoint: farEndpoint, ports: far, least });
    this.#warm.add(model);
  }

  async #healPart(family: Family, { model, endpoint, ports, least }: Part): Promise<void> {
    if (ports.length === 0) return;
    const { control } = this.#lane;
    const after = await callsSoFar(control);
    const deadline = performance.now() + healMs;
    for (;;) {
      await Promise.all(ports.map(() => probe(family, endpoint, model)));
      const calls = await callsSeen(control, ports, after);
      const answered = ports.map(
        (port) => calls.filter((each) => each.outcome === "completed" && each.port === port).length,
      );
      if (answered.every((count) => count >= least)) return;
      if (performance.now() > deadline) {
        throw new Error(
          `${model}: its servers did not come back; they answered ${answered.join(", ")}`,
        );
      }
      if (answered.some((count) => count === 0)) {
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      }
    }
  }

  async #settledCalls(after: number): Promise<readonly SeenCall[]> {
    const { control, ports } = this.#lane;
    const deadline = performance.now() + settleMs;
    for (;;) {
      const calls = await callsSeen(control, ports, after);
      const isSettled = calls.every((each) => each.ending !== "open");
      if (isSettled || performance.now() > deadline) return calls;
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }
}

/** Servers of one region, and where its clients ask. */
type Part = {
  readonly model: string;
  readonly endpoint: string;
  readonly ports: readonly number[];
  readonly least: number;
};

async function probe(family: Family, endpoint: string, model: string): Promise<void> {
  // What is hedged are streams, and it is their first tokens that are learnt.
  const reading = family === "hedge" ? "iterator" : "whole";
  await ask({ endpoint, model, prompt: "Well?", reading, more: { max_tokens: 1 } });
}

/** Streams that go on are looked at byte by byte, too. */
function readingsOf(cell: Cell): readonly Reading[] {
  if (cell.mode === "whole") return ["whole"];
  if (cell.leaving !== undefined) return ["iterator"];
  const isBytewise = cell.family === "resume" || cell.family === "onward" || isUsage(cell);
  return isBytewise ? ["iterator", "accumulator", "bytes"] : ["iterator", "accumulator"];
}

function isUsage(cell: Cell): boolean {
  return cell.fault === "no-usage" || cell.more.stream_options !== undefined;
}

/** The application leaves when its cell says so. */
async function askAndLeave(
  { leaving }: Cell,
  question: Question,
): Promise<{ readonly asked: Asked; readonly leftAtMs: number | undefined }> {
  if (leaving === undefined) return { asked: await ask(question), leftAtMs: undefined };
  const door = new AbortController();
  let leftAtMs: number | undefined;
  const leave = () => {
    leftAtMs ??= Date.now();
    door.abort();
  };
  const { afterMs, afterTokens } = leaving;
  const timer = afterMs === undefined ? undefined : setTimeout(leave, afterMs);
  let texts = 0;
  const onText = () => {
    texts += 1;
    if (texts === afterTokens) leave();
  };
  const asked = await ask({ ...question, signal: door.signal, onText });
  clearTimeout(timer);
  return { asked, leftAtMs };
}
