// What a look at a pool finds: who may be called now, and who may not yet.

import { PickMemory, Shortlist, type Work } from "../balance/index.ts";

/**
 * Who of a pool may be called, by how gladly. Lists are in the pool's order; they are good until the pool is looked at
 * again. One for each pool, used again and again.
 *
 * @example
 * const survey = surveyPool(pool, question);
 * const choice = pickFrom(pool, survey.open, { picker, random, sticky: undefined });
 */
export class PoolSurvey {
  /** They may be called, and begin with it at once as far as anybody knows. */
  readonly open: Shortlist;
  /** They said without naming a time that they are full, or that they don't serve this: after the open ones, but at once. */
  readonly avoided: Shortlist;
  /** Their own queue is known to be longer than nothing. */
  readonly queued: Shortlist;
  /** They work on as many requests as the policy allows: none before one ends. */
  readonly busy: Shortlist;
  /** The least time until one that is full by its own word or by its bucket has room; Infinity: there is none. */
  roomInMs = Number.POSITIVE_INFINITY;

  constructor(places: number) {
    const memory = new PickMemory(places);
    this.open = new Shortlist(memory);
    this.avoided = new Shortlist(memory);
    this.queued = new Shortlist(memory);
    this.busy = new Shortlist(memory);
  }

  /** Somebody may be called now. */
  get hasRoom(): boolean {
    return this.open.count + this.avoided.count > 0;
  }

  /** Somebody may be waited for. */
  get hasQueue(): boolean {
    return this.hasBusy || Number.isFinite(this.roomInMs);
  }

  /** Somebody would take it, but is at work: a place may come free at any moment. */
  get hasBusy(): boolean {
    return this.queued.count + this.busy.count > 0;
  }

  clear(work: Work): void {
    this.open.clear(work);
    this.avoided.clear(work);
    this.queued.clear(work);
    this.busy.clear(work);
    this.roomInMs = Number.POSITIVE_INFINITY;
  }
}
