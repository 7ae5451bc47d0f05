// Runs one cell: everybody well again, the fault put in place, the question asked in each way, the evidence gathered.

import { type Asked, ask, type Reading } from "../ask.ts";
import type { Bed, Lane } from "./bed.ts";
import type { Cell } from "./cell.ts";
import { differences } from "./compare.ts";
import { decisionOf } from "./decision.ts";
import { expectationOf } from "./oracle.ts";
import { type Reference, referenceFor } from "./reference.ts";
import { addFaults, callsSeen, callsSoFar, removeFaults, type SeenCall } from "./simulator.ts";

export type CellResult = {
  readonly cell: Cell;
  /** Empty: all was as expected. */
  readonly differences: readonly string[];
  readonly tookMs: number;
  /** Decision records that were read and compared. */
  readonly records: number;
};

/** A port's fault meets a request once in two or three. */
const triesMax = 40;
const healMs = 45_000;
const settleMs = 1_500;
const pollMs = 15;

/** One worker of the matrix, with what it knows of its lane. */
export class LaneRunner {
  readonly #bed: Bed;
  readonly #lane: Lane;
  readonly #references = new Map<string, Reference>();

  constructor(bed: Bed, lane: Lane) {
    this.#bed = bed;
    this.#lane = lane;
  }

  async run(cell: Cell): Promise<CellResult> {
    const startedAt = performance.now();
    const readings: readonly Reading[] =
      cell.mode === "stream" ? ["iterator", "accumulator"] : ["whole"];
    const found: string[] = [];
    let records = 0;
    for (const reading of readings) {
      const one = await this.#runOnce(cell, reading);
      found.push(...one.differences.map((each) => `${reading}: ${each}`));
      records += one.records;
    }
    return { cell, differences: found, tookMs: performance.now() - startedAt, records };
  }

  async #runOnce(cell: Cell, reading: Reading) {
    const { control } = this.#lane;
    const model = this.#lane.modelFor(cell.alternatives);
    const reference = await this.#reference(model);
    await this.#heal(cell);
    await this.#putFault(cell, model);
    try {
      for (let turn = 1; ; turn++) {
        const after = await callsSoFar(control);
        const askedAtMs = Date.now();
        const asked = await ask({
          endpoint: this.#bed.endpoint,
          model,
          prompt: reference.prompt,
          reading,
        });
        if (!this.#wasMet(cell, asked) && turn < triesMax) continue;
        const calls = await this.#settledCalls(after);
        const decision = await decisionOf(this.#bed.ops, asked);
        const evidence = { asked, askedAtMs, calls, decision, reference };
        const records = decision === undefined ? 0 : 1;
        return { differences: differences(expectationOf(cell), evidence), records };
      }
    } finally {
      await removeFaults(control, { model });
      if (cell.onPort) await removeFaults(control, { port: this.#faultyPort() });
    }
  }

  /** A port's fault is met when somebody else had to be asked, or there is nobody else. */
  #wasMet(cell: Cell, { headers }: Asked): boolean {
    if (!cell.onPort || cell.alternatives === 0) return true;
    return Number(headers.get("x-meridian-attempts") ?? "0") > 1;
  }

  #faultyPort(): number {
    return this.#lane.ports[0] ?? 0;
  }

  async #putFault(cell: Cell, model: string): Promise<void> {
    const { control } = this.#lane;
    if (!cell.onPort) {
      // Whoever is asked first meets it; the next one is well.
      await addFaults(control, [{ ...cell.rule, model, count: 1 }]);
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

  /** Every server of the pool answers again, through the proxy: what a cell did to one is not the next one's matter. */
  async #heal(cell: Cell): Promise<void> {
    const { control, ports } = this.#lane;
    const pool = ports.slice(0, cell.alternatives + 1);
    const model = this.#lane.modelFor(cell.alternatives);
    const after = await callsSoFar(control);
    const deadline = performance.now() + healMs;
    for (;;) {
      await Promise.all(pool.map(() => this.#probe(model)));
      const calls = await callsSeen(control, pool, after);
      const well = new Set(
        calls.filter((each) => each.outcome === "completed").map((each) => each.port),
      );
      if (well.size === pool.length) return;
      if (performance.now() > deadline) {
        throw new Error(`${model}: only ${well.size} of ${pool.length} servers came back`);
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  async #probe(model: string): Promise<void> {
    const { endpoint } = this.#bed;
    await ask({ endpoint, model, prompt: "Well?", reading: "whole", more: { max_tokens: 1 } });
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
