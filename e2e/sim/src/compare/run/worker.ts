// One of the threads that tasks run on. Everything random comes from seeds in the task, so it does not matter which.

import { parentPort, workerData } from "node:worker_threads";
import { workloadsWith } from "./contest.ts";
import { perform, type Task } from "./tasks.ts";

// What the crew gave.
const { traces } = workerData as { readonly traces: readonly string[] };
const workloads = workloadsWith(traces);

parentPort?.on("message", (task: Task) => {
  parentPort?.postMessage(perform(task, workloads));
});
