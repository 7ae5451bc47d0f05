// The shell of the batch model: owns the timer of one model, hands each sequence's events to its listener.

import type { ModelSpec } from "./model-size.ts";
import { type Emission, type Job, type Load, type Scheduler, scheduler } from "./scheduler.ts";

export type JobListener = (event: Emission) => void;

/** One model of this server. */
export class ModelRunner {
  readonly spec: ModelSpec;
  readonly finished = { stop: 0, length: 0 };
  readonly #scheduler: Scheduler;
  readonly #listeners = new Map<number, JobListener>();
  #timer: NodeJS.Timeout | undefined;
  #lastId = 0;

  constructor(spec: ModelSpec, speed: number) {
    this.spec = spec;
    this.#scheduler = scheduler(spec.size, speed);
  }

  /** The sequence's id; undefined when slots and queue are full. */
  submit(job: Omit<Job, "id">, listener: JobListener): number | undefined {
    // Steps that have ended must be counted before the job can join a batch.
    this.#turn();
    this.#lastId += 1;
    const id = this.#lastId;
    if (!this.#scheduler.submit({ ...job, id }, performance.now())) return undefined;
    this.#listeners.set(id, listener);
    this.#schedule();
    return id;
  }

  cancel(id: number): void {
    this.#scheduler.cancel(id);
    this.#listeners.delete(id);
  }

  load(): Load {
    return this.#scheduler.load();
  }

  #turn(): void {
    for (const event of this.#scheduler.advance(performance.now())) {
      this.#listeners.get(event.id)?.(event);
      if (event.kind === "done") this.#listeners.delete(event.id);
    }
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const at = this.#scheduler.nextAt();
    if (at === undefined) return;
    this.#timer = setTimeout(() => this.#turn(), Math.max(0, at - performance.now()));
  }
}
