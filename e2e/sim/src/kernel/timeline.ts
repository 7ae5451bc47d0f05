// Virtual time: a clock and the events that are due, in a binary heap. Events of one instant run in the order in which
// they were made, so that a seed decides everything.

import type { Instant } from "@meridian/proto/base";

/** A thing that will happen; only the timeline reads or changes it. */
export type Timer = { at: Instant; order: number; place: number; run: () => void };

export class Timeline {
  #now: Instant = 0;
  #order = 0;
  #ran = 0;
  readonly #heap: Timer[] = [];

  /** Milliseconds since the run began. */
  get now(): Instant {
    return this.#now;
  }

  /** Events that have run so far. */
  get ran(): number {
    return this.#ran;
  }

  /** Events that are still to run. */
  get pending(): number {
    return this.#heap.length;
  }

  /** Runs at an instant; one that has gone by means now. */
  at(at: Instant, run: () => void): Timer {
    const timer = {
      at: Math.max(at, this.#now),
      order: this.#order++,
      place: this.#heap.length,
      run,
    };
    this.#heap.push(timer);
    this.#rise(timer);
    return timer;
  }

  after(ms: number, run: () => void): Timer {
    return this.at(this.#now + ms, run);
  }

  /** Runs now and then every so often, until it is cancelled by what it returns or the timeline ends. */
  every(ms: number, run: () => void, firstAfterMs = 0): () => void {
    let timer: Timer | undefined;
    const turn = (): void => {
      timer = this.after(ms, turn);
      run();
    };
    timer = this.after(firstAfterMs, turn);
    return () => this.cancel(timer);
  }

  /** Cancelling what has run, was cancelled, or never was, does nothing. */
  cancel(timer: Timer | undefined): void {
    if (timer === undefined || timer.place < 0) return;
    const heap = this.#heap;
    const place = timer.place;
    timer.place = -1;
    const last = heap.pop();
    if (last === undefined || last === timer) return;
    last.place = place;
    heap[place] = last;
    this.#sink(last);
    this.#rise(last);
  }

  /** Runs everything due up to an instant, that instant included, and stands there. `false` from `goes` stops early. */
  runUntil(until: Instant, goes?: () => boolean): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.#now = next.at;
      this.cancel(next);
      this.#ran += 1;
      next.run();
      if (goes !== undefined && !goes()) return;
    }
    this.#now = Math.max(this.#now, until);
  }

  #rise(timer: Timer): void {
    const heap = this.#heap;
    let place = timer.place;
    while (place > 0) {
      const parentPlace = (place - 1) >> 1;
      const parent = heap[parentPlace];
      if (parent === undefined || isBefore(parent, timer)) break;
      heap[place] = parent;
      parent.place = place;
      place = parentPlace;
    }
    heap[place] = timer;
    timer.place = place;
  }

  #sink(timer: Timer): void {
    const heap = this.#heap;
    let place = timer.place;
    for (;;) {
      let childPlace = 2 * place + 1;
      let child = heap[childPlace];
      if (child === undefined) break;
      const right = heap[childPlace + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        childPlace += 1;
      }
      if (isBefore(timer, child)) break;
      heap[place] = child;
      child.place = place;
      place = childPlace;
    }
    heap[place] = timer;
    timer.place = place;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
