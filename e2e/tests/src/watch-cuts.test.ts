import { runCommand } from "@meridian/harness";
import { expect, test } from "vitest";

/** The bench's last line. */
type Report = {
  readonly passed: boolean;
  readonly figures: { readonly [name: string]: number };
};

test("a watch on real etcd loses nothing to cuts, compaction or a silent member", async () => {
  const done = await runCommand({
    entry: "e2e/bench/src/watch-cuts.ts",
    args: ["--short", "--json"],
    timeoutMs: 110_000,
  });
  const last = done.stdout.trim().split("\n").at(-1) ?? "";
  // What the bench promises under --json; a wrong shape fails below.
  const report = JSON.parse(
    last.startsWith("{") ? last : '{"passed":false,"figures":{}}',
  ) as Report;
  expect(report.passed, `${done.stdout}${done.stderr}`).toBe(true);
  expect(done.code).toBe(0);
  expect(report.figures["three members: cuts"]).toBeGreaterThanOrEqual(150);
});
