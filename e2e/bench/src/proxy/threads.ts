// What a second listener thread gives. With processors to spare: requests per second of two threads on two processors
// against one on one. Where the load needs the second processor itself: by processor time, as if both had been free.

import { availableParallelism } from "node:os";
import type { Figure } from "../report/figures.ts";
import { type Around, aroundProcessor } from "./comparison.ts";
import { measureWorkload, type Plan, type Row, ratio, type Workload } from "./measure.ts";
import { type MeridianSubject, startMeridian } from "./meridian.ts";
import { pin } from "./processor.ts";

const scaleMin = 1.6;
/** Two for the threads, two for the load. */
const processorsToSpare = 4;
const workload: Workload = {
  name: "listener threads, c=128",
  body: "short",
  connections: 128,
  pauseMsMax: 0,
};

export type ThreadsResult = { readonly rows: readonly Row[]; readonly figures: readonly Figure[] };

export async function measureThreads(around: Around, plan: Plan): Promise<ThreadsResult> {
  const hasRoom = availableParallelism() >= processorsToSpare;
  if (hasRoom) {
    pin(around.load.pid, "2");
    pin(around.upstream.pid, "3");
  }
  const subjects: MeridianSubject[] = [];
  try {
    for (const threads of [1, 2]) {
      const started = await startMeridian({ upstreamPorts: around.upstreamPorts, threads });
      subjects.push({ ...started, name: `${threads} thread${threads === 1 ? "" : "s"}` });
      // Without room both run under the same conditions, as processor time is what is compared.
      pin(started.pid, hasRoom && threads === 1 ? "0" : "0,1");
      pin(started.controlPid, hasRoom ? "2" : aroundProcessor);
    }
    const rows = await measureWorkload(workload, subjects, around, plan);
    return { rows, figures: threadsFigures(rows, hasRoom) };
  } finally {
    for (const each of subjects) await each.stop();
  }
}

function threadsFigures(rows: readonly Row[], hasRoom: boolean): readonly Figure[] {
  const [one, two] = rows;
  if (one === undefined || two === undefined) return [];
  const byThroughput = ratio(two, one, (each) => each.perSecond);
  const byProcessor = 2 * ratio(one, two, (each) => each.processorUs);
  return [
    {
      name: `two threads to one, ${hasRoom ? "requests per second" : "by processor time"}`,
      value: hasRoom ? byThroughput : byProcessor,
      unit: "",
      atLeast: scaleMin,
    },
  ];
}
