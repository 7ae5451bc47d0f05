// The thread that checks and compiles policies, one at a time. Started and replaced by policy-checker.ts.

import { parentPort } from "node:worker_threads";
import { type PolicyTask, runPolicyTask } from "./policy-task.ts";

export type WorkerRequest = { readonly id: number; readonly task: PolicyTask };
export type WorkerAnswer = { readonly id: number; readonly result: unknown };

// Only policy-checker.ts posts to this thread, and what it posts is a WorkerRequest.
parentPort?.on("message", ({ id, task }: WorkerRequest) => {
  const answer: WorkerAnswer = { id, result: runPolicyTask(task) };
  parentPort?.postMessage(answer);
});
