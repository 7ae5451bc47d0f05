import { expect, test } from "vitest";
import { processorMs, residentMib } from "./process-time.ts";

test("work shows in a process's own processor time", () => {
  const beforeMs = processorMs(process.pid);
  const startedMs = process.cpuUsage().user;
  let sum = 0;
  while (process.cpuUsage().user - startedMs < 60_000) sum += Math.sqrt(sum + 1);
  const usedMs = processorMs(process.pid) - beforeMs;
  expect(usedMs).toBeGreaterThanOrEqual(40);
  expect(usedMs).toBeLessThan(1_000);
});

test("resident memory is what Node says it is", () => {
  const saidMib = process.memoryUsage.rss() / 1024 ** 2;
  expect(residentMib(process.pid) / saidMib).toBeGreaterThan(0.8);
  expect(residentMib(process.pid) / saidMib).toBeLessThan(1.25);
});
