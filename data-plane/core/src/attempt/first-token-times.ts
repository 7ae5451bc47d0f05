// How long each target takes to its first token, as far as hedging needs it: the time that 95 % keep within.
// Logarithmic buckets of a quarter of an octave (HdrHistogram's scheme, Tene 2014); all halve at a bound, as in TinyLFU's
// reset (Einziger, Friedman, Manes 2017), so that half of what is known is from the newest few hundred calls.

/** Buckets: quarters of a millisecond up to 1 ms, then four for each doubling, up to 17 minutes. */
const buckets = 84;

/** Int32 cells of a series: its total, then the buckets. */
const cellsPerSeries = buckets + 4;
const firstBucket = 1;

/** Fewer calls than this say nothing about the slowest twentieth. */
export const hedgeSamplesMin = 20;

/** At so many calls all buckets halve. */
const samplesMax = 512;

const share = 0.95;

/** Embeddings and answers that are streamed take times that have nothing to do with each other. */
export type TimesKind = "stream" | "embedding";

/** Bytes for so many targets. */
export function firstTokenBytes(slots: number): number {
  return slots * 2 * cellsPerSeries * Int32Array.BYTES_PER_ELEMENT;
}

/**
 * A distribution for each target, by slot. The buffer may be shared by threads; a count lost between two of them does no
 * harm.
 *
 * @example
 * times.learn(slot, "stream", 240);
 * times.p95Ms(slot, "stream"); // Infinity before 20 calls, then for instance 320: the end of a bucket
 */
export class FirstTokenTimes {
  readonly #cells: Int32Array;

  constructor(buffer: ArrayBufferLike) {
    this.#cells = new Int32Array(buffer);
  }

  learn(slot: number, kind: TimesKind, ms: number): void {
    const at = seriesAt(slot, kind);
    Atomics.add(this.#cells, at + firstBucket + bucketOf(ms), 1);
    const total = Atomics.add(this.#cells, at, 1) + 1;
    if (total >= samplesMax) this.#halve(at, total);
  }

  /** 95 % of the calls were not slower; at most a quarter too long. Infinity: too few are known. */
  p95Ms(slot: number, kind: TimesKind): number {
    const at = seriesAt(slot, kind);
    const total = Atomics.load(this.#cells, at);
    if (total < hedgeSamplesMin) return Number.POSITIVE_INFINITY;
    let left = Math.ceil(total * share);
    for (let bucket = 0; bucket < buckets; bucket++) {
      left -= Atomics.load(this.#cells, at + firstBucket + bucket);
      if (left <= 0) return bucketEndMs(bucket);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The slot is another target's from now on. */
  forget(slot: number): void {
    const at = seriesAt(slot, "stream");
    for (let cell = 0; cell < 2 * cellsPerSeries; cell++) Atomics.store(this.#cells, at + cell, 0);
  }

  /** Who takes the total down halves the buckets; the others go on counting meanwhile. */
  #halve(at: number, total: number): void {
    if (Atomics.compareExchange(this.#cells, at, total, 0) !== total) return;
    let kept = 0;
    for (let bucket = 0; bucket < buckets; bucket++) {
      const cell = at + firstBucket + bucket;
      const count = Atomics.load(this.#cells, cell);
      Atomics.sub(this.#cells, cell, count >> 1);
      kept += count - (count >> 1);
    }
    Atomics.add(this.#cells, at, kept);
  }
}

function seriesAt(slot: number, kind: TimesKind): number {
  return (slot * 2 + (kind === "stream" ? 0 : 1)) * cellsPerSeries;
}

/** In quarters of a millisecond: the position of the highest bit, and the two bits below it. */
function bucketOf(ms: number): number {
  const quarters = Math.min(0x7fff_ffff, Math.max(0, Math.floor(ms * 4)));
  if (quarters < 4) return quarters;
  const octave = 31 - Math.clz32(quarters);
  return Math.min(buckets - 1, (octave - 1) * 4 + ((quarters >> (octave - 2)) & 3));
}

function bucketEndMs(bucket: number): number {
  if (bucket < 4) return (bucket + 1) / 4;
  const octave = (bucket >> 2) + 1;
  return ((5 + (bucket & 3)) * 2 ** (octave - 2)) / 4;
}
