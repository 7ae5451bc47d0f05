// A program of the bench as a child: told things and asked things over its IPC channel.

import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";

const answerTimeoutMs = 120_000;

/** One question at a time; an answer that does not come, or the program's end, rejects. */
export class Child<To extends object, From extends { readonly kind: string }> {
  readonly #process: ChildProcess;

  /** `file` stands beside this one. */
  constructor(file: string, args: readonly string[] = []) {
    this.#process = fork(join(import.meta.dirname, file), args, {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async ask<Kind extends From["kind"]>(
    message: To,
    kind: Kind,
  ): Promise<Extract<From, { readonly kind: Kind }>> {
    const answer = this.next(kind);
    this.#process.send(message);
    return await answer;
  }

  /** The next message of a kind. */
  next<Kind extends From["kind"]>(kind: Kind): Promise<Extract<From, { readonly kind: Kind }>> {
    const child = this.#process;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        child.off("message", take);
        child.off("exit", gone);
        settle();
      };
      // The programs of this folder send nothing else.
      const take = (message: unknown) => {
        const read = message as Extract<From, { readonly kind: Kind }>;
        if (read.kind === kind) end(() => resolve(read));
      };
      const gone = () => end(() => reject(new Error(`a program ended before it said ${kind}`)));
      const late = () => end(() => reject(new Error(`no program said ${kind}`)));
      const timer = setTimeout(late, answerTimeoutMs);
      child.on("message", take);
      child.once("exit", gone);
    });
  }

  stop(): void {
    this.#process.kill("SIGKILL");
  }
}
