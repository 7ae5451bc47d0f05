// The replay of a workload, small: the bench itself works, and its bar holds.

import { runCommand } from "@meridian/harness";
import { expect, test } from "vitest";

test("a small workload is replayed while a region loses its backends, and nothing fails", async () => {
  const args = ["--requests", "150", "--speed", "40", "--scenario", "region-backends", "--json"];
  const done = await runCommand({ entry: "e2e/bench/src/replay.ts", args, timeoutMs: 90_000 });
  expect(done.code, done.stderr).toBe(0);
  const { reports } = JSON.parse(done.stdout);
  expect(reports).toHaveLength(1);
  const all = reports[0].regions.at(-1);
  expect(all).toMatchObject({ region: "all", requests: 150 });
  expect(all.elsewhere).toBeGreaterThan(10);
  expect(reports[0].failed).toBe(0);
});
