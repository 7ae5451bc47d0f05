// One seeded generator, one stream per purpose, so that a new use does not shift the numbers of the others.

/** A source of numbers that a seed decides. */
export type Random = {
  /** Uniform in [0, 1). */
  readonly next: () => number;
  /** Uniform integer in [0, below); below must be a positive integer. */
  readonly integer: (below: number) => number;
  /** An independent stream for one purpose. */
  readonly fork: (purpose: string) => Random;
};

/**
 * sfc32 (Chris Doty-Humphrey, PractRand), seeded by FNV-1a of the text: fast, small, passes PractRand.
 * Not for secrets.
 */
export function seededRandom(seed: string): Random {
  let a = fnv1a(seed, 0x811c9dc5);
  let b = fnv1a(seed, a);
  let c = fnv1a(seed, b);
  let counter = 1;

  function next32(): number {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  }
  for (let round = 0; round < 15; round++) next32();

  return {
    next: () => next32() / 0x1_0000_0000,
    integer: (below) => Math.floor((next32() / 0x1_0000_0000) * below),
    fork: (purpose) => seededRandom(`${seed}/${purpose}`),
  };
}

/** FNV-1a over the UTF-16 units of a text, 32 bits, from a given basis. */
export function fnv1a(text: string, basis = 0x811c9dc5): number {
  let hash = basis;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

/** "Full jitter": uniform in [0, min(capMs, baseMs × 2^attempt)]. Source: AWS, Exponential Backoff And Jitter. */
export function fullJitterMs(
  attempt: number,
  limits: { readonly baseMs: number; readonly capMs: number },
  random: Random,
): number {
  return random.next() * Math.min(limits.capMs, limits.baseMs * 2 ** Math.min(attempt, 30));
}
