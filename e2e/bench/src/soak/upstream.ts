// The program of the scripted upstreams, and what it has told of the calls that it got.

import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { CallRecord, FromUpstream } from "./script.ts";

/** Calls of one request. */
export type Calls = { readonly ended: CallRecord[]; open: number };

export class Upstream {
  readonly ports: readonly number[];
  readonly #process: ChildProcess;
  readonly #calls = new Map<string, Calls>();

  private constructor(process: ChildProcess, ports: readonly number[]) {
    this.#process = process;
    this.ports = ports;
    process.on("message", (message) => this.#take(message));
  }

  static async start(): Promise<Upstream> {
    const child = fork(join(import.meta.dirname, "upstream-program.ts"), {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const ports = await new Promise<readonly number[]>((resolve, reject) => {
      child.once("exit", () => reject(new Error("the upstreams ended before they listened")));
      // Its first message is of this kind.
      child.once("message", (message) => {
        const { kind, ports } = message as Extract<FromUpstream, { readonly kind: "listening" }>;
        if (kind === "listening") resolve(ports);
        else reject(new Error("the upstreams said something else first"));
      });
    });
    return new Upstream(child, ports);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Calls of a request so far. */
  callsOf(id: string): Calls {
    const known = this.#calls.get(id);
    if (known !== undefined) return known;
    const fresh: Calls = { ended: [], open: 0 };
    this.#calls.set(id, fresh);
    return fresh;
  }

  forget(id: string): void {
    this.#calls.delete(id);
  }

  stop(): void {
    this.#process.kill("SIGKILL");
  }

  #take(message: unknown): void {
    // The program of this folder sends nothing else.
    const told = message as FromUpstream;
    if (told.kind === "begun") this.callsOf(told.id).open += 1;
    if (told.kind !== "ended") return;
    const calls = this.callsOf(told.record.id);
    calls.open -= 1;
    calls.ended.push(told.record);
  }
}
