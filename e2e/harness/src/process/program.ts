// One of our programs as a process: started until it is ready, stopped, killed, started again.
// A child hangs on its parent by the IPC channel: it ends when the channel closes, so no orphan is left
// even by kill -9 of the parent.

import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { LogTail } from "./log-tail.ts";
import { programEnvironment, repositoryRoot } from "./root.ts";

export type Environment = { readonly [name: string]: string };

export type ProgramOptions = {
  /** For messages and logs; unique in a cluster. */
  readonly name: string;
  /** Path of the entry from the repository's root. */
  readonly entry: string;
  readonly args?: readonly string[];
  /** Added to this process's own environment. */
  readonly environment?: Environment;
  /** A URL that answers 200 when the program is ready. */
  readonly readyUrl: string;
  /** Default 30 s. */
  readonly readyTimeoutMs?: number;
  /** Its output is appended there too. */
  readonly logFile?: string;
  /** The process ended though nobody had asked for it. */
  readonly onUnexpectedExit?: (program: Program) => void;
};

const readyTimeoutMs = 30_000;
const readyPollMs = 25;
/** After SIGTERM a program has so long to end before SIGKILL. */
const stopTimeoutMs = 6_000;

/** A program that did not become ready, or ended; with the end of its output. */
export class ProgramError extends Error {
  override readonly name = "ProgramError";
}

export class Program {
  readonly #options: ProgramOptions;
  readonly #log = new LogTail();
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #isEnding = false;

  constructor(options: ProgramOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** undefined while it does not run. */
  get pid(): number | undefined {
    return this.isRunning() ? this.#child?.pid : undefined;
  }

  isRunning(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Resolves when it is ready. Rejects with the end of its output when it ends first or takes too long. */
  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  /** Starts the process and does not wait. Nothing happens when it runs already. */
  launch(): void {
    if (this.isRunning()) return;
    const { entry, args = [], environment = {} } = this.#options;
    const child = spawn(process.execPath, [join(repositoryRoot, entry), ...args], {
      cwd: repositoryRoot,
      env: programEnvironment(environment),
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // Of its own process group: Ctrl-C at the terminal reaches the parent, which ends its children in order.
      detached: true,
    });
    this.#child = child;
    this.#isEnding = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => this.#note(text));
    }
    child.on("error", (error) => this.#note(`cannot start: ${error.message}\n`));
    this.#exited = new Promise((resolve) => {
      child.once("error", () => resolve());
      child.once("exit", (code, signal) => {
        this.#note(`[${this.name} ended: ${signal ?? `code ${code}`}]\n`);
        resolve();
        if (!this.#isEnding) this.#options.onUnexpectedExit?.(this);
      });
    });
  }

  /** Polls the ready URL until it answers 200. */
  async ready(timeoutMs = this.#options.readyTimeoutMs ?? readyTimeoutMs): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await answers(this.#options.readyUrl)) || !this.isRunning()) {
      if (!this.isRunning()) throw this.#failure("ended before it was ready");
      if (performance.now() > deadline) throw this.#failure(`was not ready within ${timeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, readyPollMs));
    }
  }

  /** SIGTERM, SIGKILL if it does not end; resolves when the process is gone. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGSTOP and SIGCONT: the process hangs, its sockets stay open. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** The newest lines of its output. */
  logTail(lines = 40): string {
    return this.#log.last(lines).join("\n");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.isRunning()) return;
    this.#isEnding = true;
    this.#child?.kill(signal);
    if (signal !== "SIGKILL") this.#child?.kill("SIGCONT");
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), stopTimeoutMs);
    await this.#exited;
    clearTimeout(timer);
  }

  #note(text: string): void {
    this.#log.append(text);
    if (this.#options.logFile !== undefined) appendFileSync(this.#options.logFile, text);
  }

  #failure(what: string): ProgramError {
    return new ProgramError(`${this.name} ${what}; the end of its output:\n${this.logTail()}`);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    // Not listening yet.
    return false;
  }
}
