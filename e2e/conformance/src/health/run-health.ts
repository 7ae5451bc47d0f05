// What a proxy learns of a model server from its failures: many in a row keep it out, but only those that are its own.

import { ask } from "../ask.ts";
import { type Bed, healthLaneOf, healthModelOf, type Lane } from "../matrix/bed.ts";
import type { FaultRule } from "../matrix/cell.ts";
import type { CellResult } from "../matrix/run-cell.ts";
import { addFaults, callsSeen, callsSoFar, removeFaults } from "../matrix/simulator.ts";
import type { Reading } from "../question.ts";

export type HealthCell = {
  /** Which server it has to itself. */
  readonly number: number;
  readonly name: string;
  readonly rule: FaultRule;
  readonly reading: Reading;
  readonly standing: Standing;
};

/**
 * What many failures in a row lead to. out: the server is kept out. in: nothing. last: others are asked before it, as it
 * may lack the model, but it is not ill.
 */
type Standing = "out" | "in" | "last";

/** More than any bound of the fast path (data-plane/core/src/health). */
const failures = 14;
const turnsMax = 60;
const readyMs = 60_000;

export function healthCells(): readonly HealthCell[] {
  const status = (code: number, standing: Standing, more: object = {}) =>
    both(
      `status ${code}${"code" in more ? " unknown model" : ""}`,
      { kind: "status", status: code, ...more },
      standing,
    );
  const token = (kind: string, place: number) =>
    one(`${kind} ${place}`, { kind: `${kind}-at-token`, token: place }, "iterator", "out");
  const cells = [
    ...[400, 413, 422, 408].flatMap((code) => status(code, "in")),
    ...status(404, "last"),
    ...status(400, "last", { code: "model_not_found" }),
    ...[401, 403, 500, 502, 503].flatMap((code) => status(code, "out")),
    ...both("reset-before-headers", { kind: "reset-before-headers" }, "out"),
    ...both("error-body", { kind: "error-body" }, "out"),
    ...both("wrong-content-type", { kind: "wrong-content-type" }, "out"),
    ...["reset", "end", "error", "malformed"].flatMap((kind) => [token(kind, 0), token(kind, 1)]),
    one("no-usage", { kind: "no-usage" }, "iterator", "in"),
    one("no-sentinel", { kind: "no-sentinel" }, "iterator", "in"),
  ];
  return cells.map((cell, number) => ({ ...cell, number }));
}

/** All of them, where one run has cells of different numbers. */
export const healthCellsMax = healthCells().length;

type Unnumbered = Omit<HealthCell, "number">;

function both(name: string, rule: FaultRule, standing: Standing): readonly Unnumbered[] {
  return [one(name, rule, "iterator", standing), one(name, rule, "whole", standing)];
}

function one(name: string, rule: FaultRule, reading: Reading, standing: Standing): Unnumbered {
  const mode = reading === "whole" ? "whole" : "stream";
  return { name: `health ${name} ${mode}`, rule, reading, standing };
}

export async function runHealthCell(bed: Bed, cell: HealthCell): Promise<CellResult> {
  const startedAt = performance.now();
  const lane = healthLaneOf(cell.number, bed.lanes);
  if (lane === undefined) throw new Error("there is no lane");
  // One that is all of a pool is never kept out: two others stand beside it.
  const [, , port = 0] = lane.ports;
  const model = healthModelOf(cell.number);
  const server: Server = { bed, lane, model, port };
  await answers(server);
  const after = await callsSoFar(lane.control);
  await addFaults(lane.control, [{ ...cell.rule, model, port }]);
  let met = 0;
  let isKeptOut = false;
  for (let turn = 0; turn < turnsMax && met < failures && !isKeptOut; turn++) {
    await Promise.all([1, 2, 3].map(() => question(server, cell.reading, 4)));
    met = (await callsSeen(lane.control, [port], after)).length;
    isKeptOut = !(await isAvailable(server));
  }
  await removeFaults(lane.control, { model });
  const standing: Standing = isKeptOut ? "out" : met >= failures ? "in" : "last";
  const differences =
    standing === cell.standing && met > 0
      ? []
      : [`health: expected ${cell.standing}, saw ${standing} after ${met} failures`];
  return { name: cell.name, differences, tookMs: performance.now() - startedAt, records: 0 };
}

type Server = {
  readonly bed: Bed;
  readonly lane: Lane;
  readonly model: string;
  readonly port: number;
};

function question({ bed, model }: Server, reading: Reading, tokens: number) {
  const more = { max_tokens: tokens };
  return ask({ endpoint: bed.endpoint, model, prompt: "Well?", reading, more });
}

/** It has a success, and may be chosen. */
async function answers(server: Server): Promise<void> {
  const { lane, port, model } = server;
  const after = await callsSoFar(lane.control);
  const deadline = performance.now() + readyMs;
  for (;;) {
    await Promise.all([1, 2, 3].map(() => question(server, "whole", 1)));
    const calls = await callsSeen(lane.control, [port], after);
    const isWell = calls.some((each) => each.outcome === "completed");
    if (isWell && (await isAvailable(server))) return;
    if (performance.now() > deadline) throw new Error(`${model} did not answer`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The server's backend has its model's name. */
async function isAvailable({ bed, model }: Server): Promise<boolean> {
  const text = await (await fetch(`${bed.ops}/metrics`)).text();
  return text.includes(`meridian_backend_available{backend="${model}"} 1`);
}
