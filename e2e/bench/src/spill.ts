// `npm run bench:spill`: one of three regions is driven at three times what it can do. What leaves it must be what it can't
// do and no more, nothing may fail, and the others must hardly notice. `--help` lists the options.

import { parseArgs } from "node:util";
import { type Figure, figuresAsJson, formatFigures, holds } from "./report/figures.ts";
import { measureBackend } from "./spill/calibrate.ts";
import { spillFigures } from "./spill/figures.ts";
import { type Knowledge, run } from "./spill/run.ts";
import { hotRegion, openScene } from "./spill/scene.ts";

const help = `Usage: npm run bench:spill -- [option …]

  --capacity WORD  declared (the policy says what the backends can do), learned (it is found out); default: both
  --short          one control plane, declared capacity, half a minute
  --seed TEXT      decides when requests come (default "spill")
  --json           the last line is JSON: figures, bars, whether they hold

Three regions, 80, 150 and 210 ms apart. Two models at once: requests of one may leave their region, those of the
other may not, and both see the same requests at the same instants.`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    capacity: { type: "string" },
    short: { type: "boolean", default: false },
    seed: { type: "string", default: "spill" },
    json: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const courses = {
  declared: { half: 20, over: 60, after: 15, settled: 20 },
  learned: { half: 20, over: 120, after: 15, settled: 75 },
  short: { half: 5, over: 20, after: 5, settled: 10 },
} as const;
const known: readonly Knowledge[] = ["declared", "learned"];
const chosen = known.filter((each) => {
  if (values.capacity !== undefined) return each === values.capacity;
  return each === "declared" || !values.short;
});
if (chosen.length === 0) {
  console.error("bench:spill: --capacity is declared or learned; see --help");
  process.exit(2);
}

const note = (line: string) => console.error(line);
const cluster = await openScene({ store: values.short ? "embedded" : "etcd", note });
const figures: Figure[] = [];
try {
  const [url = ""] = cluster.region(hotRegion).backendUrls;
  const backendRate = await measureBackend(url, "spilling", values.short ? 4_000 : 8_000);
  for (const knowledge of chosen) {
    const { settled, ...seconds } = courses[values.short ? "short" : knowledge];
    const result = await run(cluster, {
      knowledge,
      backendRate,
      seconds,
      patienceMs: values.short ? 10_000 : 20_000,
      seed: values.seed,
      note,
    });
    const shown = spillFigures(result, { settledAfterSeconds: settled });
    console.log(formatFigures(`${knowledge} capacity`, shown));
    figures.push(...shown.map((each) => ({ ...each, name: `${knowledge}: ${each.name}` })));
  }
  const hold = figures.every(holds);
  console.log(hold ? "every bar holds" : "a bar does not hold");
  if (values.json) console.log(figuresAsJson("spill", figures));
  process.exitCode = hold ? 0 : 1;
} finally {
  await cluster.stop();
}
process.exit();
