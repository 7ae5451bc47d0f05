// Runs many cells, as many beside each other as there are lanes.

import type { Bed } from "./bed.ts";
import type { Cell } from "./cell.ts";
import { type CellResult, LaneRunner } from "./run-cell.ts";

/** `onResult` hears each as it comes. */
export async function runCells(
  bed: Bed,
  cells: readonly Cell[],
  onResult: (result: CellResult) => void,
): Promise<readonly CellResult[]> {
  const waiting = [...cells];
  const results: CellResult[] = [];
  const work = async (runner: LaneRunner) => {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      const result = await runner.run(cell).catch(
        (cause: unknown): CellResult => ({
          cell: cell as Cell,
          differences: [`could not be run: ${String(cause)}`],
          tookMs: 0,
          records: 0,
        }),
      );
      results.push(result);
      onResult(result);
    }
  };
  await Promise.all(bed.lanes.map((lane) => work(new LaneRunner(bed, lane))));
  return results;
}
