// A model server in virtual time: continuous batching with chunked prefill, a queue and a prefix cache.
//
// One step carries all running sequences and lasts m × (prompt tokens taken in) + d0 + d1 × decoding; the form is that of
// GORGO and of the discrete-event simulators of vLLM. Steps without prefill are all alike until a sequence ends or one
// arrives, so they are run as one event: exact, and cheap enough for long answers.

import type { Instant } from "@meridian/proto/base";
import { BlockPool } from "./block-pool.ts";
import type { Timeline, Timer } from "./timeline.ts";

export type ServerSize = {
  /** Prefill, per prompt token that no cache holds (m). */
  readonly prefillMsPerToken: number;
  /** One decode step (d0). */
  readonly decodeMs: number;
  /** Added to a step by each decoding sequence (d1). */
  readonly decodeMsPerSequence: number;
  /** Sequences that run at once. */
  readonly slots: number;
  /** Sequences that may wait; beyond it a request is refused. */
  readonly queueMax: number;
  readonly kvBlocks: number;
  readonly blockTokens: number;
  /** Prompt tokens that one step takes in, as vLLM's max_num_batched_tokens. */
  readonly chunkTokens: number;
};

/** A 70-billion model on eight cards, roughly, and an 8-billion model on one L4, as in SkyWalker's evaluation. */
export const serverSizes = {
  large: {
    prefillMsPerToken: 0.2,
    decodeMs: 24,
    decodeMsPerSequence: 0.4,
    slots: 64,
    queueMax: 512,
    kvBlocks: 2_000,
    blockTokens: 256,
    chunkTokens: 2_048,
  },
  small: {
    prefillMsPerToken: 0.094,
    decodeMs: 16,
    decodeMsPerSequence: 0.3,
    slots: 48,
    queueMax: 512,
    kvBlocks: 400,
    blockTokens: 256,
    chunkTokens: 2_048,
  },
} as const satisfies { readonly [name: string]: ServerSize };

/** What a sequence needs. */
export type Job = {
  /** Full blocks of the prompt. */
  readonly blocks: readonly number[];
  /** The same and after them those of the answer, to be found by whoever goes on with it; default: the prompt's alone. */
  readonly blocksAfter?: readonly number[];
  readonly inputTokens: number;
  readonly outputTokens: number;
};

/** Who is told of a sequence. `cut`: the server broke; the client learns it as a broken connection. */
export type JobListener = {
  readonly onFirstToken: (now: Instant, hitTokens: number) => void;
  readonly onEnd: (now: Instant, ending: "complete" | "cut") => void;
};

/** A sequence inside a server; to be handed back to `cancel`. */
export type Sequence = {
  readonly job: Job;
  readonly listener: JobListener;
  readonly blocksTotal: number;
  readonly arrivedAt: Instant;
  state: "waiting" | "running" | "gone";
  hits: number;
  isNamed: boolean;
  isAnswerNamed: boolean;
  prefillLeft: number;
  /** Of the step under way. */
  prefillNow: number;
  emitted: number;
};

export type ServerMetrics = {
  readonly at: Instant;
  readonly waiting: number;
  /**
   * Of those waiting the ones that the newest step had no room for: what vLLM's and SGLang's gauges tell, which are written
   * once a step, when who came during the last one has been taken in.
   */
  readonly queued: number;
  readonly running: number;
  /** 0 to 1. */
  readonly kvUse: number;
};

/** Sums since the start. */
export type ServerTotals = {
  inputTokens: number;
  hitTokens: number;
  outputTokens: number;
  completed: number;
  /** Time with a step under way. */
  busyMs: number;
};

type Plan = {
  readonly startedAt: Instant;
  readonly stepMs: number;
  steps: number;
  timer: Timer;
};

export class ModelServer {
  readonly name: string;
  readonly region: string;
  readonly size: ServerSize;
  readonly totals: ServerTotals = {
    inputTokens: 0,
    hitTokens: 0,
    outputTokens: 0,
    completed: 0,
    busyMs: 0,
  };
  /** Multiplies the time of each step that begins from now on. */
  slowness = 1;
  readonly #timeline: Timeline;
  readonly #pool: BlockPool;
  #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  /** Those whom the newest step had no room for. */
  #left = 0;
  #plan: Plan | undefined;

  constructor(
    timeline: Timeline,
    named: { readonly name: string; readonly region: string },
    size: ServerSize,
  ) {
    this.#timeline = timeline;
    this.name = named.name;
    this.region = named.region;
    this.size = size;
    this.#pool = new BlockPool(size.kvBlocks);
  }

  /** undefined: slots and queue are full, the request is not taken. */
  submit(job: Job, listener: JobListener): Sequence | undefined {
    const { slots, queueMax, blockTokens } = this.size;
    if (this.#waiting.length + this.#running.length >= slots + queueMax) return undefined;
    const sequence: Sequence = {
      job,
      listener,
      blocksTotal: Math.max(
        job.blocks.length,
        Math.ceil((job.inputTokens + job.outputTokens) / blockTokens),
      ),
      arrivedAt: this.#timeline.now,
      state: "waiting",
      hits: 0,
      isNamed: false,
      isAnswerNamed: false,
      prefillLeft: 0,
      prefillNow: 0,
      emitted: 0,
    };
    this.#waiting.push(sequence);
    if (this.#plan === undefined) this.#begin();
    else if (this.#left === 0 && this.#canStart(sequence)) this.#cutShort();
    else this.#left = this.#waiting.length;
    return sequence;
  }

  /** The caller left: the place is free from the next step on. What has gone already is let be. */
  cancel(sequence: Sequence): void {
    if (sequence.state === "waiting") {
      this.#waiting.splice(this.#waiting.indexOf(sequence), 1);
      sequence.state = "gone";
      const next = this.#waiting[0];
      if (next !== undefined && this.#canStart(next)) this.#cutShort();
    } else if (sequence.state === "running") {
      // Tokens of whole steps that are over already were made; the step under way goes on without it.
      this.totals.outputTokens += this.emitted(sequence) - sequence.emitted;
      this.#cutShort();
      this.#drop(sequence);
    }
  }

  /** Everything inside is cut; the cache is lost. */
  crash(): void {
    const inside = [...this.#running, ...this.#waiting];
    this.#timeline.cancel(this.#plan?.timer);
    this.#plan = undefined;
    this.#running = [];
    this.#waiting = [];
    this.#left = 0;
    this.#pool.clear();
    for (const sequence of inside) {
      sequence.state = "gone";
      sequence.listener.onEnd(this.#timeline.now, "cut");
    }
  }

  /** Output tokens that a sequence has got so far. */
  emitted(sequence: Sequence): number {
    const plan = this.#plan;
    if (sequence.state !== "running" || sequence.prefillLeft > 0 || plan === undefined) {
      return sequence.emitted;
    }
    const steps = Math.floor((this.#timeline.now - plan.startedAt) / plan.stepMs);
    return sequence.emitted + Math.min(plan.steps, steps);
  }

  metrics(): ServerMetrics {
    return {
      at: this.#timeline.now,
      waiting: this.#waiting.length,
      queued: Math.min(this.#left, this.#waiting.length),
      running: this.#running.length,
      kvUse: this.#pool.use(),
    };
  }

  /** Leading blocks of a prompt that are held now: for oracles, no router can know this. */
  holds(blocks: readonly number[]): number {
    return this.#pool.match(blocks);
  }

  #canStart(sequence: Sequence): boolean {
    if (this.#running.length >= this.size.slots) return false;
    const { blocks } = sequence.job;
    if (this.#running.length === 0) return true;
    return this.#pool.fits(blocks, this.#pool.match(blocks), sequence.blocksTotal);
  }

  /** As vLLM does: while the step at hand still has room for a part of the prompt. Who has none counts as waiting. */
  #admit(): void {
    this.#left = 0;
    if (this.#waiting.length === 0) return;
    let room = this.size.chunkTokens;
    for (const each of this.#running) room -= each.prefillLeft;
    let started = 0;
    for (const sequence of this.#waiting) {
      if (room <= 0 || !this.#canStart(sequence)) break;
      this.#start(sequence);
      room -= sequence.prefillLeft;
      started += 1;
    }
    if (started > 0) this.#waiting.splice(0, started);
    this.#left = this.#waiting.length;
  }

  #start(sequence: Sequence): void {
    const { blocks, inputTokens } = sequence.job;
    const hits = this.#pool.match(blocks);
    // The last prompt token is always computed: it yields the first token of the answer.
    const hitTokens = Math.max(0, Math.min(hits * this.size.blockTokens, inputTokens - 1));
    this.#pool.take(blocks, hits, sequence.blocksTotal);
    sequence.hits = hits;
    sequence.prefillLeft = Math.max(1, inputTokens - hitTokens);
    sequence.state = "running";
    this.#running.push(sequence);
    this.totals.inputTokens += inputTokens;
    this.totals.hitTokens += hitTokens;
  }

  #begin(): void {
    this.#admit();
    if (this.#running.length === 0) {
      this.#plan = undefined;
      return;
    }
    const { chunkTokens, prefillMsPerToken, decodeMs, decodeMsPerSequence } = this.size;
    let room: number = chunkTokens;
    let decoding = 0;
    let least = Number.POSITIVE_INFINITY;
    for (const each of this.#running) {
      each.prefillNow = Math.min(room, each.prefillLeft);
      room -= each.prefillNow;
      if (each.prefillLeft > 0) continue;
      decoding += 1;
      least = Math.min(least, each.job.outputTokens - each.emitted);
    }
    const taken = chunkTokens - room;
    const decode = decoding === 0 ? 0 : decodeMs + decoding * decodeMsPerSequence;
    const stepMs = Math.max(0.01, taken * prefillMsPerToken + decode) * this.slowness;
    const steps = taken > 0 ? 1 : Math.max(1, least);
    const startedAt = this.#timeline.now;
    const timer = this.#timeline.at(startedAt + steps * stepMs, this.#finish);
    this.#plan = { startedAt, stepMs, steps, timer };
  }

  /** Somebody came or left: the run of equal steps ends with the one under way. */
  #cutShort(): void {
    const plan = this.#plan;
    if (plan === undefined || plan.steps === 1) return;
    const elapsed = this.#timeline.now - plan.startedAt;
    const steps = Math.min(plan.steps, Math.floor(elapsed / plan.stepMs) + 1);
    if (steps === plan.steps) return;
    this.#timeline.cancel(plan.timer);
    plan.steps = steps;
    plan.timer = this.#timeline.at(plan.startedAt + steps * plan.stepMs, this.#finish);
  }

  readonly #finish = (): void => {
    const plan = this.#plan;
    if (plan === undefined) return;
    const now = this.#timeline.now;
    this.totals.busyMs += now - plan.startedAt;
    const ended: Sequence[] = [];
    const first: Sequence[] = [];
    for (const each of this.#running) {
      if (each.prefillLeft > 0) {
        each.prefillLeft -= each.prefillNow;
        if (each.prefillLeft > 0) continue;
        this.#pool.name(each.job.blocks, each.hits);
        each.isNamed = true;
        first.push(each);
        each.emitted = 1;
        this.totals.outputTokens += 1;
      } else {
        each.emitted += plan.steps;
        this.totals.outputTokens += plan.steps;
      }
      if (each.emitted >= each.job.outputTokens) ended.push(each);
    }
    for (const each of ended) {
      this.#nameAnswer(each);
      this.#drop(each);
    }
    this.totals.completed += ended.length;
    this.#begin();
    // Told last: what they do next (ask again, leave) finds the server in a whole state.
    for (const each of first) {
      each.listener.onFirstToken(
        now,
        Math.min(each.hits * this.size.blockTokens, each.job.inputTokens - 1),
      );
    }
    for (const each of ended) each.listener.onEnd(now, "complete");
  };

  #nameAnswer(sequence: Sequence): void {
    const { blocks, blocksAfter } = sequence.job;
    if (blocksAfter === undefined) return;
    this.#pool.name(blocksAfter, blocks.length);
    sequence.isAnswerNamed = true;
  }

  #drop(sequence: Sequence): void {
    sequence.state = "gone";
    this.#running.splice(this.#running.indexOf(sequence), 1);
    const { job, isAnswerNamed } = sequence;
    const blocks = (isAnswerNamed ? job.blocksAfter : undefined) ?? job.blocks;
    const named = sequence.isNamed ? blocks.length : sequence.hits;
    this.#pool.release(blocks, named, sequence.blocksTotal);
  }
}
