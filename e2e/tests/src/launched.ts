// `npm start` as a person has it in a terminal: a process group of its own, its output, its end.

import { type ChildProcess, spawn } from "node:child_process";
import { repositoryRoot } from "@meridian/harness";
import { expect, vi } from "vitest";

export type Launched = {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
};

export type Command = readonly [string, ...string[]];

/** In a process group of its own, as a terminal gives it, so that Ctrl-C can be sent to all of it. */
export function launch(
  args: readonly string[],
  command: Command = ["npm", "start", "--"],
): Launched {
  const [program, ...first] = command;
  const child = spawn(program, [...first, ...args], {
    cwd: repositoryRoot,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, output: () => output, ended };
}

/** Settles when everything runs; says how many seconds it took. */
export async function untilReady({ child, output }: Launched): Promise<number> {
  const begun = performance.now();
  await vi.waitFor(
    () => {
      // A start that has ended will not become ready: tell its output at once.
      if (child.exitCode === null) expect(output()).toContain("Ctrl-C stops everything.");
    },
    { timeout: 90_000, interval: 20 },
  );
  expect(output()).toContain("Ctrl-C stops everything.");
  return (performance.now() - begun) / 1_000;
}

export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  process.kill(-(child.pid ?? 0), signal);
}

/** Ctrl-C, and the end that follows. */
export async function interrupt({ child, ended }: Launched): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) signalGroup(child, "SIGINT");
  await ended;
}
