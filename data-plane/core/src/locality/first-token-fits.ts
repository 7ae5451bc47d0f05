// What the first token of each target takes for the work that stands before it: everything that the target has to compute
// first, the request's own prompt included. One engine's own, by slot; it follows what was seen of late.

import type { Instant } from "@meridian/proto/base";
import type { FirstTokenFit } from "./expected-time.ts";

/** A new call's weight, once there were as many. */
const weightMax = 200;
/** What was seen counts half after so long: a server that was slow, and is called for seldom since, is quick again. */
const halfLifeMs = 60_000;
/** Fewer than so many calls are chance. */
const callsMin = 8;
/** A wait so many times the expected one counts as that: a queue that nobody told of is not the prompt's fault. */
const lateMax = 4;
const lateSlackMs = 500;

const fields = { calls: 0, weight: 1, x: 2, y: 3, xx: 4, xy: 5, baseMs: 6, msPerToken: 7, at: 8 };
const cellsPerSlot = 9;

/**
 * Least squares with forgetting: `baseMs` + `msPerToken` × tokens. Source of the shape: GORGO (arXiv 2602.11688), whose
 * tokens are those that run, those that wait, and the request's own.
 *
 * @example
 * fits.learn(slot, 4_600, 520, now); // 4,600 tokens had to be computed first, and the first token came after 520 ms
 * fits.expectedMs(slot, 1_000); // undefined until there were some
 */
export class FirstTokenFits {
  #cells: Float64Array;

  constructor(slots = 64) {
    this.#cells = new Float64Array(slots * cellsPerSlot);
  }

  learn(slot: number, tokens: number, firstTokenMs: number, now: Instant): void {
    const at = this.#place(slot);
    const expectedMs = this.expectedMs(slot, tokens) ?? Number.POSITIVE_INFINITY;
    const ms = Math.min(firstTokenMs, lateMax * expectedMs + lateSlackMs);
    const keep = this.#kept(at, now);
    this.#cells[at + fields.at] = now;
    this.#cells[at + fields.calls] = this.#read(at + fields.calls) + 1;
    this.#add(at + fields.weight, keep, 1);
    this.#add(at + fields.x, keep, tokens);
    this.#add(at + fields.y, keep, ms);
    this.#add(at + fields.xx, keep, tokens * tokens);
    this.#add(at + fields.xy, keep, tokens * ms);
    this.#draw(at);
  }

  /** undefined: it was hardly tried. */
  expectedMs(slot: number, tokens: number): number | undefined {
    if (!this.#isKnown(slot)) return undefined;
    const at = slot * cellsPerSlot;
    return this.#read(at + fields.baseMs) + this.#read(at + fields.msPerToken) * tokens;
  }

  /** The mean of those that are known; undefined: none is. */
  meanOf(slots: readonly number[]): FirstTokenFit | undefined {
    let known = 0;
    let baseMs = 0;
    let msPerToken = 0;
    for (const slot of slots) {
      if (!this.#isKnown(slot)) continue;
      known += 1;
      baseMs += this.#read(slot * cellsPerSlot + fields.baseMs);
      msPerToken += this.#read(slot * cellsPerSlot + fields.msPerToken);
    }
    return known === 0 ? undefined : { baseMs: baseMs / known, msPerToken: msPerToken / known };
  }

  /** The slot is another target's from now on. */
  forget(slot: number): void {
    const at = slot * cellsPerSlot;
    if (at < this.#cells.length) this.#cells.fill(0, at, at + cellsPerSlot);
  }

  /** Of what was seen before: by number and by time, but never less than what a line needs. */
  #kept(at: number, now: Instant): number {
    const weight = Math.max(1, this.#read(at + fields.weight));
    const byTime = 0.5 ** (Math.max(0, now - this.#read(at + fields.at)) / halfLifeMs);
    return Math.min(1, (weightMax - 1) / weight, Math.max(byTime, callsMin / weight));
  }

  /** The line through what was seen. Neither of its parts is below 0. */
  #draw(at: number): void {
    const weight = this.#read(at + fields.weight);
    const meanX = this.#read(at + fields.x) / weight;
    const meanY = this.#read(at + fields.y) / weight;
    const spread = this.#read(at + fields.xx) / weight - meanX * meanX;
    const together = this.#read(at + fields.xy) / weight - meanX * meanY;
    // Prompts of one length say nothing of a slope.
    const slope = spread > 1 ? Math.max(0, together / spread) : 0;
    const msPerToken = Math.min(slope, meanY / Math.max(1, meanX));
    this.#cells[at + fields.msPerToken] = msPerToken;
    this.#cells[at + fields.baseMs] = meanY - msPerToken * meanX;
  }

  #isKnown(slot: number): boolean {
    return this.#read(slot * cellsPerSlot + fields.calls) >= callsMin;
  }

  #add(cell: number, keep: number, value: number): void {
    this.#cells[cell] = this.#read(cell) * keep + value;
  }

  #read(cell: number): number {
    return this.#cells[cell] ?? 0;
  }

  #place(slot: number): number {
    const at = slot * cellsPerSlot;
    if (at >= this.#cells.length) {
      const larger = new Float64Array(Math.max(this.#cells.length * 2, at + cellsPerSlot));
      larger.set(this.#cells);
      this.#cells = larger;
    }
    return at;
  }
}
