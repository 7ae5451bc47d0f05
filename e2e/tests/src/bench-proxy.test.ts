// The bench of the proxy, short: it works, every answer is right, and the cost is nowhere near absurd.

import { runCommand } from "@meridian/harness";
import { expect, test } from "vitest";

test("a request through the proxy costs a small multiple of the least that Node can do", async () => {
  const args = ["--short", "--json"];
  const done = await runCommand({ entry: "e2e/bench/src/proxy.ts", args, timeoutMs: 90_000 });
  expect(done.code, done.stdout + done.stderr).toBe(0);
  const { figures, passed } = JSON.parse(done.stdout.trim().split("\n").at(-1) ?? "");
  expect(passed).toBe(true);
  const ratio = figures["whole answers, c=32: processor time, ratio to the bare forwarder"];
  expect(ratio).toBeGreaterThan(0.5);
});
