// A thread of the sweep: runs what it is told, one after the other, and tells what came out.

import { parentPort } from "node:worker_threads";
import { runScenario } from "../scenario/run-scenario.ts";
import type { SweepAnswer, SweepTask } from "./sweep.ts";

parentPort?.on("message", ({ scenario, seed }: SweepTask) => {
  const startedMs = process.cpuUsage();
  const result = runScenario(scenario, seed);
  const { user, system } = process.cpuUsage(startedMs);
  const answer: SweepAnswer = { result, cpuMs: (user + system) / 1_000 };
  parentPort?.postMessage(answer);
});
