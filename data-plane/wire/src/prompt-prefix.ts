// The beginning of a prompt as a chain of numbers, for guessing which backend has it in its cache. It works on the bytes
// of the body: without a tokenizer, and without knowing what a model's chat template makes of it.

import { fnv1a } from "@meridian/proto/base";

/** About 256 tokens: what model servers cache in one piece is 16 to 256 of them. */
export const prefixBlockLength = 1_024;

/** What is longer is as good as unique by then. */
export const prefixBlocksMax = 64;

/**
 * One unsigned number of 32 bits for each whole block from `start` on, up to 64: equal numbers at a place mean equal bytes
 * up to there, but for one chance in 2^32. `seed`: what else must be equal, for instance the model's name.
 *
 * It reads on to the end of the body: to know where the prompt ends would cost as much as the hashes, and what a last
 * block has of the fields behind makes it unlike others, as the end of the prompt does anyway.
 *
 * @example hashPrefix(body, 40, "llama-70b"); // a body of 2,200 bytes: two numbers
 */
export function hashPrefix(body: Uint8Array, start: number, seed: string): readonly number[] {
  const whole = Math.floor((body.length - start) / prefixBlockLength);
  const blocks = Math.min(prefixBlocksMax, whole);
  const hashes: number[] = [];
  if (blocks <= 0) return hashes;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let hash = fnv1a(seed);
  for (let block = 0; block < blocks; block++) {
    hash = hashBlock(view, start + block * prefixBlockLength, hash);
    hashes.push(hash);
  }
  return hashes;
}

/** MurmurHash3 (32 bits, Appleby 2011) of one block, seeded by the hash of what comes before. */
function hashBlock(view: DataView, from: number, seed: number): number {
  const end = from + prefixBlockLength;
  let hash = seed | 0;
  for (let at = from; at < end; at += 4) {
    let word = Math.imul(view.getInt32(at, true), 0xcc9e2d51);
    word = Math.imul((word << 15) | (word >>> 17), 0x1b873593);
    hash ^= word;
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  hash ^= prefixBlockLength;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
