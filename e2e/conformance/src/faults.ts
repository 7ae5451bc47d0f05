// `npm run faults`: every fault of a model server at every moment of an answer, seen by the official client.
// Options: --short, --only TEXT, --lanes N, --json (the last line is JSON).

import { parseArgs } from "node:util";
import { startBed } from "./matrix/bed.ts";
import { plainCells } from "./matrix/fault-table.ts";
import { runCells } from "./matrix/run.ts";

const { values: options } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    lanes: { type: "string", default: "10" },
  },
});

const cells = plainCells().filter((each) => each.name.includes(options.only));
const startedAt = performance.now();
const bed = await startBed({ lanes: Number(options.lanes) });
try {
  const results = await runCells(bed, cells, (result) => {
    if (result.differences.length > 0)
      console.log(`${result.cell.name}\n  ${result.differences.join("\n  ")}`);
  });
  const failed = results.filter((each) => each.differences.length > 0).length;
  console.log(
    `${results.length} cells, ${failed} failed, ${Math.round((performance.now() - startedAt) / 1000)} s`,
  );
  console.log(`records ${results.reduce((n, each) => n + each.records, 0)}`);
} finally {
  await bed.stop();
}
