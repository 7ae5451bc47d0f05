// The backends of a pool that a picker chooses from, with all that it goes by, in arrays that are used again and again:
// a choice allocates nothing, however large the fleet is.

/** What the request at hand adds to whoever gets it. */
export type Work = {
  /** Prompt and expected output. */
  readonly tokens: number;
  /** Of them, the prompt's. */
  readonly promptTokens: number;
};

const nothing: Work = { tokens: 0, promptTokens: 0 };

/**
 * Entries 0 to `count` - 1 are in use, in the order of the pool; the arrays may be longer.
 *
 * @example
 * list.clear({ tokens: 900, promptTokens: 644 });
 * list.weights[list.add(place, slot)] = 0.5;
 */
export class Shortlist {
  count = 0;
  work: Work = nothing;
  /** Places in the pool, rising. */
  readonly places: Int32Array;
  readonly slots: Int32Array;
  /** Policy weight × share by health. */
  readonly weights: Float64Array;
  /** Tokens still to do there, those of answers for less than those of prompts. */
  readonly pending: Float64Array;
  readonly inFlight: Float64Array;
  /** Tokens of the prompt that need not be computed there, probably. */
  readonly hits: Float64Array;
  readonly memory: PickMemory;

  constructor(memory: PickMemory) {
    const size = memory.credits.length;
    this.memory = memory;
    this.places = new Int32Array(size);
    this.slots = new Int32Array(size);
    this.weights = new Float64Array(size);
    this.pending = new Float64Array(size);
    this.inFlight = new Float64Array(size);
    this.hits = new Float64Array(size);
  }

  clear(work: Work): void {
    this.count = 0;
    this.work = work;
  }

  /** The new entry; its figures are 0 until they are set. */
  add(place: number, slot: number): number {
    const entry = this.count;
    this.places[entry] = place;
    this.slots[entry] = slot;
    this.weights[entry] = 0;
    this.pending[entry] = 0;
    this.inFlight[entry] = 0;
    this.hits[entry] = 0;
    this.count = entry + 1;
    return entry;
  }
}

/** The most that a choice by load adds to or takes from a backend's credit: what was long ago does not count. */
const creditMax = 2;

/** What pickers keep of a pool from choice to choice, by place in it. One thread's own. */
export class PickMemory {
  /** How many choices each backend is behind its share; below 0: ahead of it. */
  readonly credits: Float64Array;
  /** Parts of a turn that round robin has saved for it. */
  readonly turns: Float64Array;
  /** Whose turn it was last. */
  cursor = -1;
  isFresh = true;

  constructor(places: number) {
    this.credits = new Float64Array(places);
    this.turns = new Float64Array(places);
  }

  /** Everybody on the list earns a part of the choice by weight, and the chosen one pays for all of it. */
  spend(list: Shortlist, chosen: number, totalWeight: number): void {
    const { credits } = this;
    for (let at = 0; at < list.count; at++) {
      const place = list.places[at] ?? 0;
      const paid = at === chosen ? 1 : 0;
      const credit = (credits[place] ?? 0) + (list.weights[at] ?? 0) / totalWeight - paid;
      credits[place] = Math.max(-creditMax, Math.min(creditMax, credit));
    }
  }
}
