// One etcd member as a process: started, killed, stopped in its tracks, started again on the same data and ports.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { findProgram } from "../process/debian-program.ts";

export type MemberProcess = {
  /** Starts it, or starts it again. Resolves when the process exists, not when it serves. */
  readonly start: () => Promise<void>;
  /** SIGKILL; resolves when the process is gone. Nothing happens when it does not run. */
  readonly kill: () => Promise<void>;
  /** SIGTERM, SIGKILL after 5 s; resolves when the process is gone. */
  readonly stop: () => Promise<void>;
  readonly isRunning: () => boolean;
  /** SIGSTOP and SIGCONT: the process hangs, its sockets stay open. */
  readonly pause: () => void;
  readonly resume: () => void;
  /** The newest lines of its log. */
  readonly logTail: () => string;
};

export type MemberProcessOptions = {
  readonly program: string;
  readonly flags: readonly string[];
  readonly logFile: string;
};

const stopTimeoutMs = 5_000;
const logTailChars = 4_000;

export function openMemberProcess(options: MemberProcessOptions): MemberProcess {
  let child: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();

  function isRunning(): boolean {
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!isRunning()) return;
    child?.kill("SIGCONT");
    child?.kill(signal);
    const timer = setTimeout(() => child?.kill("SIGKILL"), stopTimeoutMs);
    await exited;
    clearTimeout(timer);
  }

  return {
    start: async () => {
      if (isRunning()) return;
      const started = spawnBound(options);
      child = started;
      exited = new Promise((resolve) => started.once("exit", () => resolve()));
      await new Promise((resolve, reject) => {
        started.once("spawn", resolve);
        started.once("error", reject);
      });
    },
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
    isRunning,
    pause: () => child?.kill("SIGSTOP"),
    resume: () => child?.kill("SIGCONT"),
    logTail: () =>
      existsSync(options.logFile) ? readFileSync(options.logFile, "utf8").slice(-logTailChars) : "",
  };
}

/** Where setpriv(1) is there, the kernel ends the member with us, whatever ends us. */
function spawnBound(options: MemberProcessOptions): ChildProcess {
  const setpriv = findProgram("setpriv");
  const log = openSync(options.logFile, "a");
  try {
    const stdio = ["ignore", log, log] as const;
    const child =
      setpriv === undefined
        ? spawn(options.program, [...options.flags], { stdio: [...stdio] })
        : spawn(setpriv, ["--pdeathsig", "KILL", options.program, ...options.flags], {
            stdio: [...stdio],
          });
    if (setpriv === undefined) {
      const endWithUs = () => child.kill("SIGKILL");
      process.once("exit", endWithUs);
      child.once("exit", () => process.off("exit", endWithUs));
    }
    return child;
  } finally {
    closeSync(log);
  }
}
