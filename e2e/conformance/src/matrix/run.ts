// Runs many cells, as many beside each other as there are workers.

import type { CellResult } from "./run-cell.ts";

/** Each worker takes the next cell that nobody has taken. `onResult` hears each result as it comes. */
export async function runAll<C extends { readonly name: string }>(
  cells: readonly C[],
  workers: readonly ((cell: C) => Promise<CellResult>)[],
  onResult: (result: CellResult) => void,
): Promise<readonly CellResult[]> {
  const waiting = [...cells];
  const results: CellResult[] = [];
  const work = async (run: (cell: C) => Promise<CellResult>) => {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      const { name } = cell;
      const result = await run(cell).catch((cause: unknown): CellResult => {
        const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
        return { name, differences: [`could not be run: ${text}`], tookMs: 0, records: 0 };
      });
      results.push(result);
      onResult(result);
    }
  };
  await Promise.all(workers.map(work));
  return results;
}
