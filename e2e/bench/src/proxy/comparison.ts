// Subjects side by side: which are there, their start, their rounds, and the figures with their bars.

import type { Figure } from "../report/figures.ts";
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
import { installNginx, startNginx } from "./nginx.ts";
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
  /** Others than the yardstick may be installed, which takes the network. */
  readonly mayInstall: boolean;
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
  { mayInstall }: ComparisonOptions,
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
  if (installNginx(mayInstall)) add(await startNginx(upstreamPorts));
  else console.log("nginx: absent");
  add(await startBareForwarder(upstreamPorts));
  const meridian = await startMeridian({ upstreamPorts });
  add(meridian);
  pin(meridian.controlPid, aroundProcessor);
  if (!mayInstall) return;
  const peers = readPeers();
  if (!installPeers()) console.log("peers: they can't be installed here");
  else for (const each of peers) add(await startPeer(each, upstreamPorts[0] ?? 0));
}

/** What is judged, from the rows of one run. */
export function comparisonFigures(rows: readonly Row[]): readonly Figure[] {
  const workloadNames = [...new Set(rows.map((row) => row.workload))];
  return workloadNames.flatMap((name) =>
    workloadFigures(rows.filter((row) => row.workload === name)),
  );
}

const processorRatioMax = 1.5;
const peerThroughputRatioMin = 8;
const firstTokenAddedP50MsMax = 1;
const firstTokenAddedP99MsMax = 5;

function workloadFigures(rows: readonly Row[]): readonly Figure[] {
  const find = (subject: string) => rows.find((row) => row.subject === subject);
  const [meridian, bare, direct] = ["Meridian", "bare forwarder", "direct"].map(find);
  if (meridian === undefined || bare === undefined || direct === undefined) return [];
  const { workload } = meridian;
  const others = rows.filter((row) => ![meridian, bare, direct].includes(row));
  const isStream = !Number.isNaN(meridian.firstTokenP50Ms);
  const judged = workload.startsWith("whole answers");
  return [
    {
      name: `${workload}: processor time, ratio to the bare forwarder`,
      value: meridian.processorUs / bare.processorUs,
      unit: "",
      ...(judged ? { atMost: processorRatioMax } : {}),
    },
    ...others.map((other) => ({
      name: `${workload}: processor time, ratio to ${other.subject}`,
      value: meridian.processorUs / other.processorUs,
      unit: "",
    })),
    ...others.map((other) => ({
      name: `${workload}: requests per second, ratio to ${other.subject}`,
      value: meridian.perSecond / other.perSecond,
      unit: "",
      ...(other.subject === "Portkey" && workload.endsWith("c=32") && judged
        ? { atLeast: peerThroughputRatioMin }
        : {}),
    })),
    ...(isStream ? firstTokenFigures(meridian, bare, direct) : []),
  ];
}

function firstTokenFigures(meridian: Row, bare: Row, direct: Row): readonly Figure[] {
  const added = (over: Row, share: "firstTokenP50Ms" | "firstTokenP99Ms") =>
    meridian[share] - over[share];
  const { workload } = meridian;
  return [
    {
      name: `${workload}: first token added over the bare forwarder, p50`,
      value: added(bare, "firstTokenP50Ms"),
      unit: "ms",
      atMost: firstTokenAddedP50MsMax,
    },
    {
      name: `${workload}: first token added over the bare forwarder, p99`,
      value: added(bare, "firstTokenP99Ms"),
      unit: "ms",
      atMost: firstTokenAddedP99MsMax,
    },
    {
      name: `${workload}: first token added over direct, p50`,
      value: added(direct, "firstTokenP50Ms"),
      unit: "ms",
    },
    {
      name: `${workload}: first token added over direct, p99`,
      value: added(direct, "firstTokenP99Ms"),
      unit: "ms",
    },
  ];
}
