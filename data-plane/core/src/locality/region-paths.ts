// What is known of the ways to the other regions: round-trip time, whether the way works, and how long each model's queue
// there is. Synthetic requests tell it, and refusals on arrival. In memory that a proxy's threads may share.

import { fnv1a, type Instant } from "@meridian/proto/base";

/** Regions beyond so many are not remembered: nothing is known of them then, and nothing is held against them. */
const regionsMax = 64;
/** Models of one region; beyond them the one that was told of longest ago makes room. */
const modelsMax = 32;

/** Smoothing of RFC 6298, 2: an eighth of each new round trip, a quarter of its deviation. */
const rttGain = 1 / 8;
const deviationGain = 1 / 4;

/** So many failures in a row, and the way counts as failing; so many answers in a row, and it works again. */
export const failuresToFail = 3;
export const answersToWork = 2;
/** Without a word for so long a failing way may be tried again: whoever asks on it may be gone itself. */
const verdictFreshMs = 30_000;

/** Eight-byte floats: an aligned write of eight bytes is whole on every processor that Node is built for. */
const pathCells = { rttMs: 0, deviationMs: 1, failures: 2, answers: 3, failing: 4, heardAt: 5 };
const modelCells = { queueMs: 0, headroom: 1, toldAt: 2 };
const cellsPerPath = 6;
const cellsPerModel = 3;
const cellsPerRegion = cellsPerPath + modelsMax * cellsPerModel;
/** Hashes of names: one per region, then one per model of each. 0: free. */
const keysPerRegion = 1 + modelsMax;
/** In front of the floats, so that both stand where their type wants them. */
const keyBytes = align8(regionsMax * keysPerRegion * Int32Array.BYTES_PER_ELEMENT);

export const regionPathsBytes =
  keyBytes + regionsMax * cellsPerRegion * Float64Array.BYTES_PER_ELEMENT;

/** What a region said of one model. */
export type ToldPool = {
  /** How long a request that came now would wait. */
  readonly queueMs: number;
  /** Prompt and answer tokens per second that it could take beyond what it has; undefined: it can't say. */
  readonly headroom: number | undefined;
};

/**
 * Regions and models by their names. What was never told is undefined, and an unknown way does not count as failing.
 *
 * @example
 * paths.noteRtt("us-east", 82, now);
 * paths.noteQueue("us-east", "llama-70b", 1_200, now);
 * paths.queueMs("us-east", "llama-70b"); // 1200
 */
export class RegionPaths {
  readonly #keys: Int32Array;
  readonly #cells: Float64Array;

  constructor(buffer: ArrayBufferLike = new ArrayBuffer(regionPathsBytes)) {
    this.#keys = new Int32Array(buffer, 0, regionsMax * keysPerRegion);
    this.#cells = new Float64Array(buffer, keyBytes, regionsMax * cellsPerRegion);
  }

  /** A synthetic request was answered after so long. true: the way works again. */
  noteRtt(region: string, ms: number, now: Instant): boolean {
    const at = this.#path(region);
    if (at < 0) return false;
    this.#learnRtt(at, Math.max(0, ms), now);
    this.#cells[at + pathCells.failures] = 0;
    const answers = this.#read(at + pathCells.answers) + 1;
    this.#cells[at + pathCells.answers] = answers;
    const recovers = this.#read(at + pathCells.failing) === 1 && answers >= answersToWork;
    if (recovers) this.#cells[at + pathCells.failing] = 0;
    return recovers;
  }

  /** A synthetic request was not answered. true: the way counts as failing from now on. */
  noteFailure(region: string, now: Instant): boolean {
    const at = this.#path(region);
    if (at < 0) return false;
    this.#cells[at + pathCells.heardAt] = now;
    this.#cells[at + pathCells.answers] = 0;
    const failures = this.#read(at + pathCells.failures) + 1;
    this.#cells[at + pathCells.failures] = failures;
    const fails = this.#read(at + pathCells.failing) === 0 && failures >= failuresToFail;
    if (fails) this.#cells[at + pathCells.failing] = 1;
    return fails;
  }

  /** true: the last synthetic requests to it failed, so it is not chosen. */
  isFailing(region: string, now: Instant): boolean {
    const at = this.#path(region);
    if (at < 0 || this.#read(at + pathCells.failing) === 0) return false;
    return now - this.#read(at + pathCells.heardAt) < verdictFreshMs;
  }

  /** Smoothed; undefined: never measured. It stays when it grows old, as distance does. */
  rttMs(region: string): number | undefined {
    return this.#measured(region, pathCells.rttMs);
  }

  /** Smoothed mean deviation of the round trips; undefined: never measured. */
  rttDeviationMs(region: string): number | undefined {
    return this.#measured(region, pathCells.deviationMs);
  }

  /** What the region answered when it was asked how it stands. */
  notePool(region: string, model: string, told: ToldPool, now: Instant): void {
    const at = this.#model(region, model, true);
    if (at < 0) return;
    this.#cells[at + modelCells.queueMs] = Math.max(0, told.queueMs);
    this.#cells[at + modelCells.headroom] = told.headroom ?? -1;
    this.#cells[at + modelCells.toldAt] = now;
  }

  /** It refused a request for this model on arrival and told how long its queue is: no room is left there. */
  noteQueue(region: string, model: string, queueMs: number, now: Instant): void {
    this.notePool(region, model, { queueMs, headroom: 0 }, now);
  }

  /** As it was told last, however long ago; undefined: never. */
  queueMs(region: string, model: string): number | undefined {
    const at = this.#model(region, model, false);
    return at < 0 ? undefined : this.#read(at + modelCells.queueMs);
  }

  /** Tokens per second beyond what the region has, as it was told last; undefined: never, or it can't say. */
  headroom(region: string, model: string): number | undefined {
    const at = this.#model(region, model, false);
    const told = at < 0 ? -1 : this.#read(at + modelCells.headroom);
    return told < 0 ? undefined : told;
  }

  /** How old the queue and the headroom are; infinite: never told. */
  toldAgeMs(region: string, model: string, now: Instant): number {
    const at = this.#model(region, model, false);
    if (at < 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, now - this.#read(at + modelCells.toldAt));
  }

  #learnRtt(at: number, ms: number, now: Instant): void {
    const rtt = this.#read(at + pathCells.rttMs);
    const deviation = this.#read(at + pathCells.deviationMs);
    const isFirst = deviation === 0;
    // RFC 6298, 2.2 and 2.3; the deviation first, as it goes by the round-trip time before.
    this.#cells[at + pathCells.deviationMs] = isFirst
      ? Math.max(leastDeviationMs, ms / 2)
      : Math.max(leastDeviationMs, deviation + deviationGain * (Math.abs(rtt - ms) - deviation));
    this.#cells[at + pathCells.rttMs] = isFirst ? ms : rtt + rttGain * (ms - rtt);
    this.#cells[at + pathCells.heardAt] = now;
  }

  #measured(region: string, cell: number): number | undefined {
    const at = this.#path(region);
    if (at < 0 || this.#read(at + pathCells.deviationMs) === 0) return undefined;
    return this.#read(at + cell);
  }

  #read(cell: number): number {
    return this.#cells[cell] ?? 0;
  }

  /** Where the floats of a region begin; -1: there is no room for one more. */
  #path(region: string): number {
    const place = this.#region(region);
    return place < 0 ? -1 : place * cellsPerRegion;
  }

  #region(region: string): number {
    const key = keyOf(region);
    for (let tried = 0; tried < regionsMax; tried++) {
      const place = ((key >>> 0) + tried) % regionsMax;
      if (this.#claim(place * keysPerRegion, key)) return place;
    }
    return -1;
  }

  /** Where the floats of a region's model begin; -1: it was never told of. */
  #model(region: string, model: string, makesRoom: boolean): number {
    const place = this.#region(region);
    if (place < 0) return -1;
    const key = keyOf(model);
    const firstKey = place * keysPerRegion + 1;
    const firstCell = place * cellsPerRegion + cellsPerPath;
    let oldest = 0;
    for (let each = 0; each < modelsMax; each++) {
      const held = Atomics.load(this.#keys, firstKey + each);
      if (held === key) return firstCell + each * cellsPerModel;
      if (held === 0) {
        if (!makesRoom) return -1;
        if (this.#claim(firstKey + each, key)) return firstCell + each * cellsPerModel;
      }
      if (this.#toldAt(firstCell, each) < this.#toldAt(firstCell, oldest)) oldest = each;
    }
    if (!makesRoom) return -1;
    Atomics.store(this.#keys, firstKey + oldest, key);
    return firstCell + oldest * cellsPerModel;
  }

  #toldAt(firstCell: number, each: number): number {
    return this.#read(firstCell + each * cellsPerModel + modelCells.toldAt);
  }

  /** true: the place is this key's, now or before. Two threads that come at once agree. */
  #claim(place: number, key: number): boolean {
    const held = Atomics.compareExchange(this.#keys, place, 0, key);
    return held === 0 || held === key;
  }
}

/** More than nothing, so that a way that was measured can be told from one that was not. */
const leastDeviationMs = 0.01;

/** Never 0, which means free. Two names of one policy with one hash are as good as impossible: 2 in 10^6 for 100 names. */
function keyOf(name: string): number {
  return fnv1a(name) | 0 || 1;
}

function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
