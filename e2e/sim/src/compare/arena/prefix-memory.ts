// Which targets were sent which beginnings: what SkyWalker's and SGLang's prefix trees answer. A block's id stands for
// everything before it, so a map of ids does the work of a tree.

/** SkyWalker evicts its tree beyond 2^24 characters; that is as many blocks of 64 tokens, at four characters each. */
const blocksMax = 2 ** 24 / (64 * 4);

export type Match = {
  /** Places of the targets that have seen most of it; empty: nobody has seen its first block. */
  readonly targets: readonly number[];
  /** Share of the prompt's blocks, 0 to 1. */
  readonly rate: number;
  readonly blocks: number;
};

const noMatch: Match = { targets: [], rate: 0, blocks: 0 };

export class PrefixMemory {
  /** Block → targets as bits. In the order of use: the first is the one left alone for longest. */
  readonly #seen = new Map<number, number>();

  /** The longest beginning that any of `among` (bits) has seen. */
  match(blocks: readonly number[], among: number): Match {
    let left = among;
    let matched = 0;
    for (const block of blocks) {
      const next = (this.#seen.get(block) ?? 0) & left;
      if (next === 0) break;
      left = next;
      matched += 1;
    }
    if (matched === 0) return noMatch;
    const targets: number[] = [];
    for (let bit = 0; bit < 30; bit++) if ((left & (1 << bit)) !== 0) targets.push(bit);
    return { targets, rate: matched / blocks.length, blocks: matched };
  }

  /** How many leading blocks one target has seen. */
  matchOne(blocks: readonly number[], target: number): number {
    return this.match(blocks, 1 << target).blocks;
  }

  learn(blocks: readonly number[], target: number): void {
    const bit = 1 << target;
    for (const block of blocks) {
      const bits = this.#seen.get(block) ?? 0;
      this.#seen.delete(block);
      this.#seen.set(block, bits | bit);
    }
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= blocksMax) break;
      this.#seen.delete(oldest);
    }
  }
}

/** The bits of targets at these places. */
export function bitsOf(places: readonly number[]): number {
  return places.reduce((bits, place) => bits | (1 << place), 0);
}
