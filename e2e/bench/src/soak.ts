// `npm run soak`: a proxy under hundreds of live streams, many of which their clients leave and some of which their
// upstreams cut. Every ending must be the right one, and afterwards nothing may be left. `--help` lists the options.

import { parseArgs } from "node:util";
import { formatFigures, holds } from "./report/figures.ts";
import { soakFigures } from "./soak/figures.ts";
import { soak } from "./soak/run.ts";
import { openScene } from "./soak/scene.ts";

const help = `Usage: npm run soak -- [option …]

  --minutes N   how long the load lasts after its warm-up (default 10)
  --streams N   live streams at all times (default 500)
  --short       a leak check of half a minute: 60 streams, nothing pinned, no bars on times
  --seed TEXT   decides who leaves and what fails (default "soak")
  --json        the last line is JSON: figures, bars, whether they hold

Bars, against a base that is measured after a warm-up of the same load, at rest and after a collection:
heap and buffers at most 1.1 × the base or 2 MiB more, resident at most 1.15 × the base; sockets,
descriptors, timers and requests held no more than at the base; no growth during the load; an upstream
hears of a client's leaving within 100 ms (p99); no wrong ending; the proxy's counters are exact.`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    minutes: { type: "string", default: "10" },
    streams: { type: "string" },
    short: { type: "boolean", default: false },
    seed: { type: "string", default: "soak" },
    json: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const isShort = values.short;
const streams = Number(values.streams ?? (isShort ? 60 : 500));
const minutes = Number(values.minutes);
if (!(streams >= 1) || !(minutes > 0)) {
  console.error("soak: numbers of streams and minutes above 0 are needed; see --help");
  process.exit(2);
}

const scene = await openScene({ pinned: !isShort, silentMs: isShort ? 3_500 : 5_000 });
try {
  const result = await soak(scene, {
    streams,
    warmUpMs: isShort ? 3_500 : 60_000,
    loadMs: isShort ? 5_000 : minutes * 60_000,
    pace: isShort ? 0.2 : 1,
    sampleMs: isShort ? 1_250 : 30_000,
    seed: values.seed,
    note: (line) => console.error(line),
  });
  const figures = soakFigures(result, { streams, isShort });
  const passed = figures.every(holds);
  for (const each of result.load.complaints) console.log(`wrong: ${each}`);
  console.log(formatFigures(`${streams} live streams, one proxy on one core`, figures));
  console.log(passed ? "every bar holds" : "a bar does not hold");
  if (result.load.wrong > 0) console.error(scene.cluster.logs());
  if (values.json) {
    const judged = figures.map((each) => ({ ...each, holds: holds(each) }));
    console.log(JSON.stringify({ bench: "soak", passed, figures: judged }));
  }
  process.exitCode = passed ? 0 : 1;
} finally {
  await scene.stop();
}
process.exit();
