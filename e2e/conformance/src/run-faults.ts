// The whole fault matrix in one run: one bed, its lanes beside each other, then what must run alone.

import { aimockCells } from "./aimock/cases.ts";
import { AimockBed, runAimockCell } from "./aimock/run-aimock.ts";
import { CutsBed, type CutsResult } from "./cuts/run-cuts.ts";
import {
  type HealthCell,
  healthCells,
  healthCellsMax,
  runHealthCell,
} from "./health/run-health.ts";
import { type Bed, healthLaneOf, startBed } from "./matrix/bed.ts";
import type { Cell } from "./matrix/cell.ts";
import { runAll } from "./matrix/run.ts";
import { type CellResult, LaneRunner } from "./matrix/run-cell.ts";
import { allCells } from "./matrix/special-cells.ts";
import { spread } from "./spread.ts";

/** What is to be run. */
export type FaultsPlan = {
  readonly matrix: readonly Cell[];
  readonly aimock: ReturnType<typeof aimockCells>;
  readonly health: readonly HealthCell[];
  readonly cuts: boolean;
};

/** Cells whose name has the text `only`, "" for all; of these a spread of so many over all faults and moments. */
export function planFaults(only: string, cellsMax: number): FaultsPlan {
  const chosen = <C extends { readonly name: string }>(
    cells: readonly C[],
    max: number,
    kindOf: (cell: C) => string,
  ) => {
    const named = cells.filter((each) => each.name.includes(only));
    return spread(named, max, kindOf);
  };
  const placeOf = (cell: Cell) => `${cell.fault} ${cell.moment}`;
  return {
    matrix: chosen(allCells(), cellsMax, placeOf),
    aimock: chosen(aimockCells(), cellsMax / 5, placeOf),
    health: chosen(healthCells(), cellsMax / 10, (cell) => cell.standing),
    cuts: only === "" || only === "cuts",
  };
}

export type FaultsOptions = {
  /** Every so manieth byte is cut at. */
  readonly cutStep: number;
  /** See Evidence. */
  readonly patience: number;
  readonly onResult: (result: CellResult) => void;
};

export type FaultsResult = {
  readonly cells: readonly CellResult[];
  readonly records: number;
  readonly cuts: CutsResult | undefined;
  /** Requests that the proxy says are under way when all are over. */
  readonly leftOver: number;
};

/** The short form: a spread of the cells, and not every byte. */
export const cellsOfShort = 100;
export const cutStepOfShort = 37;

const lanes = 10;
const settleMs = 5_000;

export async function runFaults(plan: FaultsPlan, options: FaultsOptions): Promise<FaultsResult> {
  const aimock = new AimockBed();
  const cuts = new CutsBed();
  await Promise.all([aimock.start(), cuts.start()]);
  try {
    const bed = await startBed({
      lanes,
      healthCells: healthCellsMax,
      policy: (policy) => cuts.policy(aimock.policy(policy)),
    });
    try {
      return await runOn({ bed, cuts }, plan, options);
    } finally {
      await bed.stop();
    }
  } finally {
    await aimock.stop();
  }
}

async function runOn(
  { bed, cuts }: { readonly bed: Bed; readonly cuts: CutsBed },
  plan: FaultsPlan,
  { onResult, cutStep, patience }: FaultsOptions,
): Promise<FaultsResult> {
  const runners = bed.lanes.map((lane) => new LaneRunner(bed, lane, patience));
  const results = await Promise.all([
    runAll(
      plan.matrix,
      runners.map((runner) => (cell: Cell) => runner.run(cell)),
      onResult,
    ),
    runAll(plan.aimock, [(cell) => runAimockCell(bed, cell, patience)], onResult),
  ]);
  // Cells of one lane in turn: their faults are told apart by model, their calls by port alone.
  const kept = await Promise.all(
    bed.lanes.map((lane) =>
      runAll(
        plan.health.filter(({ number }) => healthLaneOf(number, bed.lanes) === lane),
        [(cell: HealthCell) => runHealthCell(bed, cell)],
        onResult,
      ),
    ),
  );
  const cells = [...results, ...kept].flat();
  return {
    cells,
    records: cells.reduce((sum, each) => sum + each.records, 0),
    cuts: plan.cuts ? await cuts.run(bed, cutStep) : undefined,
    leftOver: await requestsUnderWay(bed),
  };
}

/** Polls until none is left or the time is over. */
async function requestsUnderWay(bed: Bed): Promise<number> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const text = await (await fetch(`${bed.ops}/metrics`)).text();
    const gauges = text.matchAll(/^meridian_(?:backend_)?requests_in_flight(?:{.*})? (\d+)$/gm);
    const left = [...gauges].reduce((sum, found) => sum + Number(found[1]), 0);
    if (left === 0 || performance.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
