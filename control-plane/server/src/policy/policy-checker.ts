// Hands work on policies to the worker thread, one task at a time, and survives a worker that hangs or dies: the task
// that did it is refused, and a fresh worker takes the next.

import { Worker } from "node:worker_threads";
import type { Change } from "@meridian/control-core/diff";
import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import type { Checked, CompiledBytes, PolicyTask, PolicyTaskResult } from "./policy-task.ts";
import type { WorkerAnswer, WorkerRequest } from "./policy-worker.ts";

export type PolicyChecker = {
  readonly check: (document: Uint8Array) => Promise<Result<Checked, Problem>>;
  readonly diff: (
    before: Uint8Array | undefined,
    after: Uint8Array,
  ) => Promise<Result<readonly Change[], Problem>>;
  /** What the document of a version comes to; problems when it is not fit to serve from. */
  readonly compile: (
    document: Uint8Array,
    version: Version,
  ) => Promise<Result<CompiledBytes, readonly Problem[]>>;
  readonly close: () => Promise<void>;
};

/** Bounds: what waits, how long one task may take, what the worker may use. */
const limits = {
  waitingMax: 1_024,
  waitingBytesMax: 128 * 1024 * 1024,
  taskMs: 60_000,
  heapMb: 1_024,
};

type Waiting = {
  readonly id: number;
  readonly task: PolicyTask;
  readonly bytes: number;
  readonly settle: (result: Result<unknown, Problem>) => void;
};

export function startPolicyChecker(): PolicyChecker {
  const queue = new TaskQueue();
  return {
    check: (document) => queue.run({ kind: "check", document }),
    diff: (before, after) => queue.run({ kind: "diff", before, after }),
    compile: async (document, { epoch, sequence }) => {
      const ran = await queue.run({ kind: "compile", document, epoch, sequence });
      return ran.kind === "ok" ? ran.value : err([ran.error]);
    },
    close: () => queue.close(),
  };
}

class TaskQueue {
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #current: Waiting | undefined;
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ids = 0;
  #closed = false;

  run<K extends PolicyTask["kind"]>(
    task: Extract<PolicyTask, { readonly kind: K }>,
  ): Promise<Result<PolicyTaskResult[K], Problem>> {
    const bytes = sizeOf(task);
    const isFull =
      this.#waiting.length >= limits.waitingMax ||
      this.#waitingBytes + bytes > limits.waitingBytesMax;
    if (this.#closed || isFull) {
      const message = this.#closed
        ? "the control plane is stopping"
        : "too many policies wait to be checked";
      return Promise.resolve(err(problem("overloaded", "", message, "try again in a moment")));
    }
    const { promise, resolve } = Promise.withResolvers<Result<PolicyTaskResult[K], Problem>>();
    // The worker answers a task of kind K with the result of kind K.
    const settle = (result: Result<unknown, Problem>) =>
      resolve(result as Result<PolicyTaskResult[K], Problem>);
    this.#waiting.push({ id: this.#ids++, task, bytes, settle });
    this.#waitingBytes += bytes;
    this.#next();
    return promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const each of this.#waiting.splice(0)) each.settle(err(stopping));
    this.#current?.settle(err(stopping));
    this.#current = undefined;
    await this.#worker?.terminate();
  }

  #next(): void {
    if (this.#current !== undefined || this.#closed) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#waitingBytes -= next.bytes;
    this.#current = next;
    this.#worker ??= this.#start();
    this.#timer = setTimeout(() => this.#replace("it took too long"), limits.taskMs);
    const request: WorkerRequest = { id: next.id, task: next.task };
    this.#worker.postMessage(request);
  }

  #start(): Worker {
    const worker = new Worker(new URL("./policy-worker.ts", import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: limits.heapMb },
    });
    worker.on("message", (answer: WorkerAnswer) => this.#finish(answer.id, ok(answer.result)));
    worker.on("error", (cause) => {
      if (worker === this.#worker)
        this.#replace(cause instanceof Error ? cause.message : "it died");
    });
    // It must not keep the process alive when everything else has ended.
    worker.unref();
    return worker;
  }

  #replace(reason: string): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
    const hint = "the policy in force is untouched; simplify the document, and report this";
    const failure = problem("check_failed", "", `the document can't be checked: ${reason}`, hint);
    if (this.#current !== undefined) this.#finish(this.#current.id, err(failure));
  }

  #finish(id: number, result: Result<unknown, Problem>): void {
    const current = this.#current;
    if (current?.id !== id) return;
    clearTimeout(this.#timer);
    this.#current = undefined;
    current.settle(result);
    this.#next();
  }
}

const stopping = problem("overloaded", "", "the control plane is stopping", "ask another one");

function sizeOf(task: PolicyTask): number {
  return task.kind === "diff"
    ? task.after.length + (task.before?.length ?? 0)
    : task.document.length;
}
