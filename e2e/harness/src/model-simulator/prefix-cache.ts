// The prefix cache of a simulated model: least recently used blocks of 256 tokens, named by a hash chain.

import { fnv1a } from "@meridian/proto/base";

export const blockTokens = 256;
/** The simulator's rough tokenizer: four characters a token. */
export const charactersPerToken = 4;

/** Tokens of a text, at least one. */
export function countTokens(text: string): number {
  return Math.max(1, Math.ceil(text.length / charactersPerToken));
}

/** Names of a prompt's full blocks; each depends on all before it, so equal names mean an equal prefix. */
export function prefixBlocks(prompt: string): readonly number[] {
  const width = blockTokens * charactersPerToken;
  const blocks: number[] = [];
  let chain = 0x811c9dc5;
  for (let end = width; end <= prompt.length; end += width) {
    chain = fnv1a(prompt.slice(end - width, end), chain);
    blocks.push(chain);
  }
  return blocks;
}

export type PrefixCache = {
  /** Leading blocks that are held; they count as used now. */
  readonly match: (blocks: readonly number[]) => number;
  readonly insert: (blocks: readonly number[]) => void;
  readonly size: () => number;
};

export function prefixCache(blocksMax: number): PrefixCache {
  // A Map keeps the order of insertion: the first key is the least recently used one.
  const held = new Map<number, true>();

  function touch(block: number): void {
    held.delete(block);
    held.set(block, true);
  }

  return {
    match: (blocks) => {
      const missing = blocks.findIndex((block) => !held.has(block));
      const count = missing < 0 ? blocks.length : missing;
      // From the end, so that a chain's root is the last to be evicted.
      for (const block of blocks.slice(0, count).reverse()) touch(block);
      return count;
    },
    insert: (blocks) => {
      for (const block of [...blocks].reverse()) touch(block);
      for (const oldest of held.keys()) {
        if (held.size <= blocksMax) break;
        held.delete(oldest);
      }
    },
    size: () => held.size,
  };
}
