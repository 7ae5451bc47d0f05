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
  /** Their own queue is known to be longer than nothing, or they said that they are full without naming a time. */
  readonly queued: Shortlist;
  /** They work on as many requests as the policy allows: none before one ends. */
  busy = 0;
  /** The least time until one that is full by its own word or by its bucket has room; Infinity: there is none. */
  roomInMs = Number.POSITIVE_INFINITY;

  constructor(places: number) {
    const memory = new PickMemory(places);
    this.open = new Shortlist(memory);
    this.queued = new Shortlist(memory);
  }

  clear(work: Work): void {
    this.open.clear(work);
    this.queued.clear(work);
    this.busy = 0;
    this.roomInMs = Number.POSITIVE_INFINITY;
  }
}
