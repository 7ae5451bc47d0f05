// Many runs over all processors: each thread gets the next one when it has ended its last.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { RunResult } from "../scenario/run-scenario.ts";

export type SweepTask = { readonly scenario: string; readonly seed: string };

/** undefined: there is no such scenario. */
export type SweepAnswer = { readonly result: RunResult | undefined; readonly cpuMs: number };

/** All scenarios in turn, each with a seed of its own: run n is the same whatever the number of runs. */
export function planSweep(scenarios: readonly string[], runs: number): readonly SweepTask[] {
  return Array.from({ length: runs }, (_, run) => ({
    scenario: scenarios[run % scenarios.length] ?? "",
    seed: String(Math.floor(run / scenarios.length) + 1),
  }));
}

/** Results in the order of the tasks. `told`: as they come. */
export async function sweep(
  tasks: readonly SweepTask[],
  told: (answer: SweepAnswer) => void = () => undefined,
  threads: number = availableParallelism(),
): Promise<readonly RunResult[]> {
  const results: (RunResult | undefined)[] = tasks.map(() => undefined);
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(threads, tasks.length) }, () => runThread()));
  return results.flatMap((each) => (each === undefined ? [] : [each]));

  async function runThread(): Promise<void> {
    // Most of what a run makes is gone a moment later: with room for it collections are few.
    const resourceLimits = { maxYoungGenerationSizeMb: 64 };
    const worker = new Worker(new URL("./sweep-worker.ts", import.meta.url), { resourceLimits });
    try {
      for (let at = next++; at < tasks.length; at = next++) {
        const task = tasks[at];
        if (task === undefined) return;
        const answer = await ask(worker, task);
        results[at] = answer.result;
        told(answer);
      }
    } finally {
      await worker.terminate();
    }
  }
}

function ask(worker: Worker, task: SweepTask): Promise<SweepAnswer> {
  return new Promise((resolve, reject) => {
    const answered = (answer: SweepAnswer): void => {
      worker.off("error", failed);
      resolve(answer);
    };
    const failed = (cause: unknown): void => {
      worker.off("message", answered);
      reject(new Error(`${task.scenario}, seed ${task.seed}, ended in an error`, { cause }));
    };
    worker.once("message", answered);
    worker.once("error", failed);
    worker.postMessage(task);
  });
}
