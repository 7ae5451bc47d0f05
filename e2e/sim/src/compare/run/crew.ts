// Threads that work tasks off, as many at a time as there are processors.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { Answer, Task } from "./tasks.ts";

type Order = { readonly task: Task; readonly done: (answer: Answer) => void };

/**
 * @example
 * const crew = new Crew({ traces: [] });
 * const answer = await crew.work(task);
 * await crew.close();
 */
export class Crew {
  readonly #workers: readonly Worker[];
  readonly #idle: Worker[];
  readonly #orders: Order[] = [];
  readonly #current = new Map<Worker, Order>();

  constructor({
    traces,
    threads = availableParallelism(),
  }: { readonly traces: readonly string[]; readonly threads?: number }) {
    this.#workers = Array.from({ length: threads }, () => this.#hire(traces));
    this.#idle = [...this.#workers];
  }

  work(task: Task): Promise<Answer> {
    return new Promise((done) => {
      this.#orders.push({ task, done });
      this.#give();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((each) => each.terminate()));
  }

  #hire(traces: readonly string[]): Worker {
    const worker = new Worker(new URL("worker.ts", import.meta.url), { workerData: { traces } });
    worker.on("message", (answer: Answer) => {
      const order = this.#current.get(worker);
      this.#current.delete(worker);
      this.#idle.push(worker);
      this.#give();
      order?.done(answer);
    });
    // A task that throws is a mistake of ours: the whole comparison ends with it.
    worker.on("error", (error) => {
      throw error;
    });
    return worker;
  }

  #give(): void {
    for (let worker = this.#idle.pop(); worker !== undefined; worker = this.#idle.pop()) {
      const order = this.#orders.shift();
      if (order === undefined) {
        this.#idle.push(worker);
        return;
      }
      this.#current.set(worker, order);
      worker.postMessage(order.task);
    }
  }
}
