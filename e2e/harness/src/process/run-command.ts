// Runs one of our programs to its end and takes what it says.

import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Environment } from "./program.ts";
import { programEnvironment, repositoryRoot } from "./root.ts";

export type CommandResult = {
  /** null: it was killed, for instance at the deadline. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type CommandOptions = {
  readonly entry: string;
  readonly args: readonly string[];
  readonly environment?: Environment;
  /** Default 30 s; then SIGKILL. */
  readonly timeoutMs?: number;
  readonly input?: string;
};

export function runCommand(options: CommandOptions): Promise<CommandResult> {
  const child = spawn(process.execPath, [join(repositoryRoot, options.entry), ...options.args], {
    cwd: repositoryRoot,
    env: programEnvironment(options.environment),
    stdio: ["pipe", "pipe", "pipe"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 30_000);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  // A command that reads no input may close it first.
  child.stdin.on("error", () => undefined).end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}
