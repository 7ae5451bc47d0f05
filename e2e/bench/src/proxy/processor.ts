// Processor time and place of programs with all their threads and children, as Linux tells (proc(5), schedstat).

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { residentMib } from "../policy/process-time.ts";

export type ProcessorUse = {
  /** Time on a processor, ms. */
  readonly ranMs: number;
  /** Time ready to run while something else had the processor, ms. */
  readonly waitedMs: number;
};

/** Of a program and what it started, threads and processes, since they began. A thread that ended is forgotten. */
export function processorUse(pid: number): ProcessorUse {
  let ranMs = 0;
  let waitedMs = 0;
  for (const each of family(pid)) {
    for (const thread of listed(`/proc/${each}/task`)) {
      const [ran, waited] = fieldsOf(`/proc/${each}/task/${thread}/schedstat`);
      ranMs += Number(ran ?? 0) / 1e6;
      waitedMs += Number(waited ?? 0) / 1e6;
    }
  }
  return { ranMs, waitedMs };
}

/** Resident memory of a program and what it started, MiB; pages that they share count more than once. */
export function familyMib(pid: number): number {
  return family(pid).reduce((sum, each) => sum + residentMib(each), 0);
}

/** Binds a program, with all threads and children it has and will have, to processors: "0" or "0,1". */
export function pin(pid: number, processors: string): void {
  for (const each of family(pid)) {
    const done = spawnSync("taskset", ["-a", "-p", "-c", processors, String(each)]);
    if (done.status !== 0) throw new Error(`taskset: ${done.error ?? done.stderr}`);
  }
}

function family(pid: number): readonly number[] {
  const children = listed(`/proc/${pid}/task`).flatMap((thread) =>
    fieldsOf(`/proc/${pid}/task/${thread}/children`),
  );
  return [pid, ...children.flatMap((each) => family(Number(each)))];
}

function fieldsOf(file: string): readonly string[] {
  return ifThere(() => readFileSync(file, "utf8").trim().split(/\s+/)).filter((one) => one !== "");
}

function listed(folder: string): readonly string[] {
  return ifThere(() => readdirSync(folder));
}

/** A thread may end while it is read. */
function ifThere(read: () => readonly string[]): readonly string[] {
  try {
    return read();
  } catch {
    return [];
  }
}
