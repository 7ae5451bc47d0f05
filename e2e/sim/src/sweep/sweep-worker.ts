// A thread of the sweep: runs what it is told, one after the other, and tells what came out.

import { parentPort } from "node:worker_threads";
import { runScenario } from "../scenario/run-scenario.ts";
import type { SweepAnswer, SweepTask } from "./sweep.ts";

parentPort?.on("message", ({ scenario, seed }: SweepTask) => {
  // Of this thread: the process's would count the others' work, too.
  const started = process.threadCpuUsage();
  const result = runScenario(scenario, seed);
  const { user, system } = process.threadCpuUsage(started);
  const answer: SweepAnswer = { result, cpuMs: (user + system) / 1_000 };
  parentPort?.postMessage(answer);
});
