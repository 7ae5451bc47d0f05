// Which backend has seen which beginning of a prompt, and so has it in its cache, probably. A set-associative table of
// fixed size: one entry says for one block and 32 neighbouring slots who has it.

import { assert } from "@meridian/proto/base";

/** With 4 a third of the table would lose one block in a hundred to chance, and a prompt of 20 blocks one in six. */
const ways = 8;
/**
 * Where an Int32 field of a set's first entry is: its key, who has the block by this generation and by the one before, and
 * which generation that is. Keys lie side by side, so that a block which nobody has costs one line of the processor's cache.
 */
const fields = { key: 0, now: ways, before: 2 * ways, stamp: 3 * ways } as const;
const cellsPerSet = 4 * ways;

/** Slots of one entry, a bit each; a stamp has 8 bits for which ones they are. */
const groupSlots = 32;
const groupBits = 8;
const generationMask = 0xff_ffff;

/** A place of its own before the sets: entries that were touched for the first time in their generation. */
const headCells = cellsPerSet;
const touched = 0;

/** 262,144 entries. */
export const prefixIndexBytes = 4 * (headCells + 32_768 * cellsPerSet);

/** So many blocks of a prompt are looked at. */
export const prefixBlocksMax = 64;

/** Tokens of a block, about: 1,024 characters. */
export const prefixBlockTokens = 256;

/**
 * Learns the beginnings that backends were sent, by chained hashes: equal numbers at a place are equal texts up to there.
 * What was not sent again while a third of the table was filled twice is forgotten, so it remembers about as a cache does
 * that drops the least recently used. The buffer may be shared by threads: of two writes at one moment one may be lost,
 * which costs a wrong guess and no more.
 *
 * @example
 * index.learn([0x1f, 0x2e], slot);
 * index.hitBlocks([0x1f, 0x2e, 0x3d], slot); // 2
 */
export class PrefixIndex {
  readonly #cells: Int32Array;
  readonly #setMask: number;
  readonly #generationEntries: number;
  /** The prompt that was asked for last, and blocks of it by slot, for those groups of slots that were looked up. */
  #asked: readonly number[] | undefined;
  #askedAt = 0;
  readonly #hits: Uint8Array;
  readonly #isKnown: Uint8Array;

  /** `slots`: of the load table. Of the buffer as many sets are used as are a power of two. */
  constructor(buffer: ArrayBufferLike, slots: number) {
    this.#cells = new Int32Array(buffer);
    const sets = Math.floor((this.#cells.length - headCells) / cellsPerSet);
    this.#setMask = 2 ** Math.floor(Math.log2(sets)) - 1;
    this.#generationEntries = Math.ceil(((this.#setMask + 1) * ways) / 3);
    const groups = Math.ceil(slots / groupSlots);
    assert(groups <= 1 << groupBits, "the index has room for 8,192 slots");
    this.#hits = new Uint8Array(groups * groupSlots);
    this.#isKnown = new Uint8Array(groups);
  }

  /** How many leading blocks of the prompt the backend has, probably. Backends of one prompt are best asked in a row. */
  hitBlocks(prefix: readonly number[], slot: number): number {
    if (prefix.length === 0) return 0;
    const at = this.#cells[touched] ?? 0;
    if (this.#asked !== prefix || this.#askedAt !== at) {
      this.#asked = prefix;
      this.#askedAt = at;
      this.#isKnown.fill(0);
    }
    const group = Math.floor(slot / groupSlots);
    if (this.#isKnown[group] === 0) this.#lookUp(prefix, group);
    return this.#hits[slot] ?? 0;
  }

  /** The backend was sent a prompt that begins so. */
  learn(prefix: readonly number[], slot: number): void {
    const group = Math.floor(slot / groupSlots);
    const bit = 1 << (slot % groupSlots);
    const generation = this.#generation();
    const blocks = Math.min(prefixBlocksMax, prefix.length);
    let fresh = 0;
    for (let block = 0; block < blocks; block++) {
      const at = this.#entryFor(keyOf(prefix[block] ?? 0, group), generation);
      if (this.#renew(at, group, generation)) fresh += 1;
      this.#cells[at + fields.now] = (this.#cells[at + fields.now] ?? 0) | bit;
    }
    if (fresh > 0) Atomics.add(this.#cells, touched, fresh);
    this.#asked = undefined;
  }

  /** These slots are other targets' from now on. One walk over the table, unless it is empty. */
  forget(slots: readonly number[]): void {
    this.#asked = undefined;
    if (slots.length === 0 || this.#cells[touched] === 0) return;
    const keep = new Int32Array(this.#isKnown.length).fill(-1);
    for (const slot of slots) {
      const group = Math.floor(slot / groupSlots);
      keep[group] = (keep[group] ?? 0) & ~(1 << (slot % groupSlots));
    }
    for (let set = headCells; set < this.#cells.length; set += cellsPerSet) {
      for (let at = set; at < set + ways; at++) {
        const mask = keep[(this.#cells[at + fields.stamp] ?? 0) & ((1 << groupBits) - 1)] ?? -1;
        if (mask === -1) continue;
        this.#cells[at + fields.now] = (this.#cells[at + fields.now] ?? 0) & mask;
        this.#cells[at + fields.before] = (this.#cells[at + fields.before] ?? 0) & mask;
      }
    }
  }

  /** For all slots of a group at once: block by block, until nobody is left that has them all. */
  #lookUp(prefix: readonly number[], group: number): void {
    const first = group * groupSlots;
    this.#hits.fill(0, first, first + groupSlots);
    this.#isKnown[group] = 1;
    const generation = this.#generation();
    const blocks = Math.min(prefixBlocksMax, prefix.length);
    let holders = this.#holders(keyOf(prefix[0] ?? 0, group), generation);
    for (let block = 1; block < blocks && holders !== 0; block++) {
      const left = holders & this.#holders(keyOf(prefix[block] ?? 0, group), generation);
      if (left !== holders) this.#setHits(first, holders & ~left, block);
      holders = left;
    }
    this.#setHits(first, holders, blocks);
  }

  #setHits(first: number, slots: number, blocks: number): void {
    for (let rest = slots; rest !== 0; rest &= rest - 1) {
      this.#hits[first + 31 - Math.clz32(rest & -rest)] = blocks;
    }
  }

  #holders(key: number, generation: number): number {
    const set = this.#setOf(key);
    for (let at = set; at < set + ways; at++) {
      if (this.#cells[at] !== key) continue;
      const now = this.#cells[at + fields.now] ?? 0;
      switch (this.#ageOf(at, generation)) {
        case 0:
          return now | (this.#cells[at + fields.before] ?? 0);
        case 1:
          return now;
        default:
          return 0;
      }
    }
    return 0;
  }

  /** The block's entry, or the one that makes room for it: what is forgotten, else the older, else whichever. */
  #entryFor(key: number, generation: number): number {
    const set = this.#setOf(key);
    let victim = set + (key & (ways - 1));
    let victimAge = this.#ageOf(victim, generation);
    for (let at = set; at < set + ways; at++) {
      if (this.#cells[at] === key) return at;
      const age = this.#cells[at] === 0 ? Number.POSITIVE_INFINITY : this.#ageOf(at, generation);
      if (age <= victimAge) continue;
      victim = at;
      victimAge = age;
    }
    this.#cells[victim] = key;
    this.#cells[victim + fields.now] = 0;
    this.#cells[victim + fields.stamp] = -1;
    return victim;
  }

  /** Takes an entry into the generation; true: it was not in it yet. */
  #renew(at: number, group: number, generation: number): boolean {
    const stamp = (generation << groupBits) | group;
    if (this.#cells[at + fields.stamp] === stamp) return false;
    const isNext = this.#ageOf(at, generation) === 1;
    this.#cells[at + fields.before] = isNext ? (this.#cells[at + fields.now] ?? 0) : 0;
    this.#cells[at + fields.now] = 0;
    this.#cells[at + fields.stamp] = stamp;
    return true;
  }

  #generation(): number {
    const count = (this.#cells[touched] ?? 0) >>> 0;
    return Math.floor(count / this.#generationEntries) & generationMask;
  }

  /** In generations. */
  #ageOf(at: number, generation: number): number {
    const stamped = (this.#cells[at + fields.stamp] ?? 0) >>> groupBits;
    return (generation - stamped) & generationMask;
  }

  #setOf(key: number): number {
    let mixed = Math.imul(key ^ (key >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return headCells + ((mixed ^ (mixed >>> 16)) & this.#setMask) * cellsPerSet;
  }
}

/** Never 0, which marks an entry that nobody used. */
function keyOf(hash: number, group: number): number {
  return (hash ^ Math.imul(group, 0x9e3779b1)) | 0 || 1;
}
