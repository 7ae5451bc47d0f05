// The leak check: half a minute of the soak. Every ending is right, and nothing is left afterwards.

import { runCommand } from "@meridian/harness";
import { expect, test } from "vitest";

test("streams that clients leave and upstreams cut end as they should, and leave nothing behind", async () => {
  const args = ["--short", "--json"];
  const done = await runCommand({ entry: "e2e/bench/src/soak.ts", args, timeoutMs: 110_000 });
  expect(done.code, `${done.stdout}\n${done.stderr}`).toBe(0);
  const report = JSON.parse(done.stdout.trim().split("\n").at(-1) ?? "");
  expect(report).toMatchObject({ bench: "soak", passed: true });
  const figure = (name: string) =>
    report.figures.find((each: { readonly name: string }) => each.name === name)?.value;
  // It did what it is for.
  expect(figure("requests")).toBeGreaterThan(200);
  expect(figure("left by clients")).toBeGreaterThan(30);
  expect(figure("cancelled upstream calls")).toBeGreaterThan(20);
});
