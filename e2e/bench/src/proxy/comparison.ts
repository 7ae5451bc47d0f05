// Subjects side by side: which are there, their start, and their rounds.

import { Child } from "./child.ts";
import {
  type Load,
  measureWorkload,
  type Plan,
  type Row,
  type Upstream,
  type Workload,
} from "./measure.ts";
import { startMeridian } from "./meridian.ts";
import type { FromLoad, FromUpstream, ToLoad, ToUpstream } from "./messages.ts";
import { findNginx, startNginx } from "./nginx.ts";
import { installPeers, readPeers, startPeer } from "./peers.ts";
import { pin } from "./processor.ts";
import { requestPath, type Subject, startBareForwarder } from "./subject.ts";

/** The processor of what is measured, and the one of everything around it. */
const subjectProcessor = "0";
export const aroundProcessor = "1";
const upstreamCount = 8;

export type Around = {
  readonly load: Load;
  readonly upstream: Upstream;
  readonly upstreamPorts: readonly number[];
  readonly stop: () => void;
};

export async function startAround(): Promise<Around> {
  const upstream: Upstream = new Child<ToUpstream, FromUpstream>("upstream-program.ts");
  const load: Load = new Child<ToLoad, FromLoad>("load-program.ts");
  const { ports } = await upstream.ask({ kind: "listen", ports: upstreamCount }, "listening");
  pin(upstream.pid, aroundProcessor);
  pin(load.pid, aroundProcessor);
  const stop = () => {
    load.stop();
    upstream.stop();
  };
  return { load, upstream, upstreamPorts: ports, stop };
}

export type ComparisonOptions = {
  readonly workloads: readonly Workload[];
  readonly plan: Plan;
  /** nginx and the peers, too, which are installed if need be. */
  readonly withOthers: boolean;
  readonly onRows: (rows: readonly Row[]) => void;
};

/** All workloads on all subjects. */
export async function compare(options: ComparisonOptions, around: Around): Promise<readonly Row[]> {
  const subjects: Subject[] = [];
  try {
    await startSubjects(subjects, options, around);
    const rows: Row[] = [];
    for (const workload of options.workloads) {
      const measured = await measureWorkload(workload, subjects, around, options.plan);
      options.onRows(measured);
      rows.push(...measured);
    }
    return rows;
  } finally {
    for (const each of subjects) await each.stop();
  }
}

async function startSubjects(
  subjects: Subject[],
  { withOthers }: ComparisonOptions,
  { upstream, upstreamPorts }: Around,
): Promise<void> {
  subjects.push({
    name: "direct",
    pid: upstream.pid,
    target: { port: upstreamPorts[0] ?? 0, path: requestPath, headers: {}, check: "exact" },
    stop: async () => undefined,
  });
  const add = (subject: Subject) => {
    subjects.push(subject);
    pin(subject.pid, subjectProcessor);
  };
  if (withOthers) {
    const nginx = await findNginx();
    if (nginx !== undefined) add(await startNginx(nginx, upstreamPorts));
    else console.log("nginx: absent");
  }
  add(await startBareForwarder(upstreamPorts));
  const meridian = await startMeridian({ upstreamPorts });
  add(meridian);
  pin(meridian.controlPid, aroundProcessor);
  if (!withOthers) return;
  const peers = readPeers();
  if (!installPeers()) console.log("peers: they can't be installed here");
  else for (const each of peers) add(await startPeer(each, upstreamPorts[0] ?? 0));
}
