// The harness itself: programs that are started, end by themselves, are killed and started again.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { entries, freePorts, Program, repositoryRoot } from "@meridian/harness";
import { afterEach, expect, test } from "vitest";

const started: Program[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.kill()));
});

async function simulator(extra: readonly string[], onUnexpectedExit?: (program: Program) => void) {
  const [port = 0] = await freePorts(1);
  const program = new Program({
    name: "backend",
    entry: entries.modelSimulator,
    args: ["--port", String(port), "--model", "m:small", ...extra],
    readyUrl: `http://127.0.0.1:${port}/health`,
    ...(onUnexpectedExit === undefined ? {} : { onUnexpectedExit }),
  });
  started.push(program);
  return { program, port };
}

test("a program is ready when it answers, and can be killed and started again", async () => {
  const { program } = await simulator([]);
  await program.start();
  const first = program.pid;
  await program.kill();
  expect(program.pid).toBeUndefined();
  await program.start();
  expect(program.pid).not.toBe(first);
});

test("a program that ends before it is ready is an error that shows its output", async () => {
  const { program } = await simulator(["--speed", "never"]);
  await expect(program.start()).rejects.toThrow("--speed: a number above 0");
});

test("a program that ends unasked is told, one that was stopped is not", async () => {
  const told: string[] = [];
  const { program } = await simulator([], (each) => told.push(each.name));
  await program.start();
  process.kill(program.pid ?? 0, "SIGKILL");
  await expect.poll(() => told).toEqual(["backend"]);
  await program.start();
  await program.stop();
  expect(told).toEqual(["backend"]);
});

test("kill -9 of the parent leaves no orphan", async () => {
  const [port = 0] = await freePorts(1);
  const script = `
    import { Program, entries } from "@meridian/harness";
    const program = new Program({ name: "b", entry: entries.modelSimulator,
      args: ["--port", "${port}", "--model", "m:small"], readyUrl: "http://127.0.0.1:${port}/health" });
    await program.start();
    console.log(program.pid);
  `;
  const parent = spawn(process.execPath, ["--input-type=module-typescript", "--eval", script], {
    cwd: join(repositoryRoot, "e2e", "tests"),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = Number(
    await new Promise<string>((resolve) =>
      parent.stdout.setEncoding("utf8").once("data", (text: string) => resolve(text)),
    ),
  );
  expect(isAlive(pid)).toBe(true);
  parent.kill("SIGKILL");
  await expect.poll(() => isAlive(pid), { timeout: 5_000 }).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
