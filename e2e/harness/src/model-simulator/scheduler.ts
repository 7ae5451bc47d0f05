// The batch model of one simulated model server: continuous batching with chunked prefill, a queue and a
// prefix cache. Pure: events in with `now`, tokens out with the time at which they came to be.
//
// One step carries all running sequences: decode d0 + d1 × batch, plus prefill ms/token × (prompt − cached).
// The form is that of GORGO and of the discrete-event simulators of vLLM.

import type { Instant } from "@meridian/proto/base";
import type { ModelSize } from "./model-size.ts";
import { blockTokens, type PrefixCache, prefixCache } from "./prefix-cache.ts";

/** One sequence to compute. */
export type Job = {
  readonly id: number;
  readonly blocks: readonly number[];
  readonly promptTokens: number;
  /** 0: only the prompt is read, as for embeddings. */
  readonly outputTokens: number;
  /** 1 is normal; 4 takes four times as long. */
  readonly slowness: number;
};

export type Emission =
  | { readonly kind: "started"; readonly id: number; readonly cachedTokens: number }
  | { readonly kind: "token"; readonly id: number; readonly index: number; readonly at: Instant }
  | { readonly kind: "done"; readonly id: number; readonly at: Instant };

export type Load = {
  readonly running: number;
  readonly waiting: number;
  /** Of those waiting, the ones that the last step had no room for: what vLLM's metrics tell. The others just came. */
  readonly queued: number;
  /** 0 to 1. */
  readonly kvUsed: number;
  readonly promptTokens: number;
  readonly generationTokens: number;
  readonly prefixQueries: number;
  readonly prefixHits: number;
};

export type Scheduler = {
  /** false: the queue is full and the job was not taken. */
  readonly submit: (job: Job, now: Instant) => boolean;
  /** The client left: its slot is free from the next step on. Unknown ids are fine. */
  readonly cancel: (id: number) => void;
  /** Everything that has come to be up to `now`, in order. */
  readonly advance: (now: Instant) => readonly Emission[];
  /** When the next step ends; undefined while idle. */
  readonly nextAt: () => Instant | undefined;
  readonly load: () => Load;
};

/** Prompt tokens that one step takes in, as vLLM's max_num_batched_tokens. */
const prefillTokensPerStep = 2_048;

type Running = { readonly job: Job; prefillLeft: number; emitted: number; credit: number };
type Step = { readonly endsAt: Instant; readonly prefills: Map<Running, number> };

/** `speed` divides every duration, so that tests need not wait for a simulated graphics card. */
export function scheduler(size: ModelSize, speed: number): Scheduler {
  return new BatchScheduler(size, speed);
}

class BatchScheduler implements Scheduler {
  readonly #size: ModelSize;
  readonly #speed: number;
  readonly #waiting: Job[] = [];
  readonly #running = new Map<number, Running>();
  readonly #cache: PrefixCache;
  readonly #counts = { promptTokens: 0, generationTokens: 0, prefixQueries: 0, prefixHits: 0 };
  #kvTokens = 0;
  #leftOut = 0;
  #step: Step | undefined;
  #pending: Emission[] = [];

  constructor(size: ModelSize, speed: number) {
    this.#size = size;
    this.#speed = speed;
    this.#cache = prefixCache(size.cacheBlocksMax);
  }

  submit(job: Job, now: Instant): boolean {
    const inside = this.#waiting.length + this.#running.size;
    if (inside >= this.#size.slots + this.#size.queueMax) return false;
    this.#waiting.push(job);
    if (this.#step === undefined) this.#begin(now);
    return true;
  }

  cancel(id: number): void {
    const found = this.#running.get(id);
    if (found !== undefined) this.#remove(found);
    const place = this.#waiting.findIndex((job) => job.id === id);
    if (place >= 0) this.#waiting.splice(place, 1);
  }

  advance(now: Instant): readonly Emission[] {
    while (this.#step !== undefined && this.#step.endsAt <= now) {
      const done = this.#step;
      this.#finish(done);
      this.#begin(done.endsAt);
    }
    const out = this.#pending;
    this.#pending = [];
    return out;
  }

  nextAt(): Instant | undefined {
    return this.#step?.endsAt;
  }

  load(): Load {
    return {
      running: this.#running.size,
      waiting: this.#waiting.length,
      queued: Math.min(this.#leftOut, this.#waiting.length),
      kvUsed: Math.min(1, this.#kvTokens / this.#size.kvTokensMax),
      ...this.#counts,
    };
  }

  #admit(): void {
    for (let job = this.#waiting[0]; job !== undefined; job = this.#waiting[0]) {
      const kvFits = this.#kvTokens + kvOf(job) <= this.#size.kvTokensMax;
      if (this.#running.size >= this.#size.slots) return;
      // A job larger than the whole cache runs alone rather than never.
      if (!kvFits && this.#running.size > 0) return;
      this.#waiting.shift();
      this.#start(job);
    }
  }

  #start(job: Job): void {
    // The last prompt token is always computed: it yields the first token of the answer.
    const hit = Math.min(this.#cache.match(job.blocks) * blockTokens, job.promptTokens - 1);
    this.#counts.prefixQueries += job.promptTokens;
    this.#counts.prefixHits += hit;
    this.#counts.promptTokens += job.promptTokens;
    this.#kvTokens += kvOf(job);
    const prefillLeft = (job.promptTokens - hit) * job.slowness;
    this.#running.set(job.id, { job, prefillLeft, emitted: 0, credit: 0 });
    this.#pending.push({ kind: "started", id: job.id, cachedTokens: hit });
  }

  #begin(now: Instant): void {
    this.#admit();
    this.#leftOut = this.#waiting.length;
    if (this.#running.size === 0) {
      this.#step = undefined;
      return;
    }
    const prefills = new Map<Running, number>();
    let room = prefillTokensPerStep;
    let decoding = 0;
    for (const each of this.#running.values()) {
      if (each.prefillLeft <= 0) decoding += 1;
      else if (room > 0) {
        const taken = Math.min(room, each.prefillLeft);
        prefills.set(each, taken);
        room -= taken;
      }
    }
    const { prefillMsPerToken, decodeMs, decodeMsPerSequence } = this.#size;
    const decode = decoding === 0 ? 0 : decodeMs + decoding * decodeMsPerSequence;
    const total = (prefillTokensPerStep - room) * prefillMsPerToken + decode;
    // A step always takes some time, or a model of cost 0 would never let `advance` return.
    this.#step = { endsAt: now + Math.max(total, 0.01) / this.#speed, prefills };
  }

  #finish(done: Step): void {
    for (const each of [...this.#running.values()]) {
      const prefilled = done.prefills.get(each);
      if (prefilled !== undefined) {
        each.prefillLeft -= prefilled;
        if (each.prefillLeft > 0) continue;
        this.#cache.insert(each.job.blocks);
        each.credit = 1;
      } else if (each.prefillLeft > 0) continue;
      else each.credit += 1 / each.job.slowness;
      this.#emit(each, done.endsAt);
    }
  }

  #emit(each: Running, at: Instant): void {
    const { id, outputTokens } = each.job;
    if (each.credit >= 1 && each.emitted < outputTokens) {
      each.credit -= 1;
      this.#pending.push({ kind: "token", id, index: each.emitted, at });
      each.emitted += 1;
      this.#counts.generationTokens += 1;
    }
    if (each.emitted >= outputTokens) {
      this.#remove(each);
      this.#pending.push({ kind: "done", id, at });
    }
  }

  #remove(each: Running): void {
    this.#running.delete(each.job.id);
    this.#kvTokens -= kvOf(each.job);
  }
}

function kvOf(job: Job): number {
  return job.promptTokens + job.outputTokens;
}
