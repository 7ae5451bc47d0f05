// The key-value memory of a simulated model server, in blocks, with prefix caching as in vLLM: blocks of running
// sequences are pinned, blocks that nobody uses stay until they are the least recently used ones.

export class BlockPool {
  readonly #blocksMax: number;
  /** Named blocks in use, with the number of sequences that use them. */
  readonly #pinned = new Map<number, number>();
  /** Named blocks that nobody uses. A Map keeps the order of insertion: the first key was left alone for longest. */
  readonly #idle = new Map<number, true>();
  /** Blocks in use that have no name yet or never get one. */
  #unnamed = 0;

  constructor(blocksMax: number) {
    this.#blocksMax = blocksMax;
  }

  /** Leading blocks that are held. */
  match(blocks: readonly number[]): number {
    let count = 0;
    for (const block of blocks) {
      if (!this.#pinned.has(block) && !this.#idle.has(block)) break;
      count += 1;
    }
    return count;
  }

  /** Room for a sequence of so many blocks, the first `hits` of which are held. */
  fits(blocks: readonly number[], hits: number, total: number): boolean {
    let fromIdle = 0;
    for (let at = 0; at < hits; at++) {
      if (this.#idle.has(blocks[at] ?? -1)) fromIdle += 1;
    }
    const inUse = this.#pinned.size + this.#unnamed;
    return inUse + fromIdle + Math.max(0, total - hits) <= this.#blocksMax;
  }

  /** Takes them. `fits` need not hold: a sequence larger than the memory runs alone rather than never. */
  take(blocks: readonly number[], hits: number, total: number): void {
    for (let at = 0; at < hits; at++) this.#pin(blocks[at] ?? -1);
    this.#unnamed += Math.max(0, total - hits);
    this.#evict();
  }

  /** The prompt has been computed: its blocks can be found by others from now on. */
  name(blocks: readonly number[], hits: number): void {
    for (let at = hits; at < blocks.length; at++) {
      this.#unnamed -= 1;
      this.#pin(blocks[at] ?? -1);
    }
  }

  /** Gives a sequence's blocks back; `named` of them have names. The chain's root is the last to be evicted. */
  release(blocks: readonly number[], named: number, total: number): void {
    this.#unnamed -= Math.max(0, total - named);
    for (let at = named - 1; at >= 0; at--) this.#unpin(blocks[at] ?? -1);
    this.#evict();
  }

  /** 0 to 1: blocks of running sequences. */
  use(): number {
    return Math.min(1, (this.#pinned.size + this.#unnamed) / this.#blocksMax);
  }

  /** Named blocks, idle ones too. */
  size(): number {
    return this.#pinned.size + this.#idle.size;
  }

  clear(): void {
    this.#pinned.clear();
    this.#idle.clear();
    this.#unnamed = 0;
  }

  #pin(block: number): void {
    const users = this.#pinned.get(block);
    if (users === undefined) this.#idle.delete(block);
    this.#pinned.set(block, (users ?? 0) + 1);
  }

  #unpin(block: number): void {
    const users = this.#pinned.get(block) ?? 0;
    if (users > 1) {
      this.#pinned.set(block, users - 1);
      return;
    }
    this.#pinned.delete(block);
    this.#idle.set(block, true);
  }

  #evict(): void {
    const room = this.#blocksMax - this.#pinned.size - this.#unnamed;
    if (this.#idle.size <= room) return;
    for (const oldest of this.#idle.keys()) {
      if (this.#idle.size <= room) break;
      this.#idle.delete(oldest);
    }
  }
}
