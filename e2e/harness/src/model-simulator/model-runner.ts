// The shell of the batch model: owns the timer of one model, hands each sequence's events to its listener.

import type { ModelSpec } from "./model-size.ts";
import { type Emission, type Job, type Load, type Scheduler, scheduler } from "./scheduler.ts";

export type JobListener = (event: Emission) => void;

/** One model of this server. */
export class ModelRunner {
  readonly spec: ModelSpec;
  readonly finished = { stop: 0, length: 0 };
  readonly #scheduler: Scheduler;
  readonly #speed: number;
  readonly #listeners = new Map<
    number,
    { readonly hear: JobListener; readonly latencyMs: number }
  >();
  #timer: NodeJS.Timeout | undefined;
  #lastId = 0;

  constructor(spec: ModelSpec, speed: number) {
    this.spec = spec;
    this.#speed = speed;
    this.#scheduler = scheduler(spec.size, speed);
  }

  /** The sequence's id; undefined when slots and queue are full. */
  submit(job: Omit<Job, "id">, listener: JobListener): number | undefined {
    // Steps that have ended must be counted before the job can join a batch.
    this.#turn();
    this.#lastId += 1;
    const id = this.#lastId;
    if (!this.#scheduler.submit({ ...job, id }, performance.now())) return undefined;
    const latencyMs = (this.spec.size.latencyMs * job.slowness) / this.#speed;
    this.#listeners.set(id, { hear: listener, latencyMs });
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
    for (const event of this.#scheduler.advance(performance.now())) this.#tell(event);
    this.#schedule();
  }

  #tell(event: Emission): void {
    const latencyMs = this.#listeners.get(event.id)?.latencyMs ?? 0;
    const tell = () => {
      // Undefined: it was cancelled meanwhile.
      this.#listeners.get(event.id)?.hear(event);
      if (event.kind === "done") this.#listeners.delete(event.id);
    };
    if (latencyMs === 0) tell();
    else setTimeout(tell, latencyMs);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const at = this.#scheduler.nextAt();
    if (at === undefined) return;
    this.#timer = setTimeout(() => this.#turn(), Math.max(0, at - performance.now()));
  }
}
