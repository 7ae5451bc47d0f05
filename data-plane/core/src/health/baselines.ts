// What the first token of each target usually takes, by slot and kind of request. See first-token-baseline.ts. What is
// learned is some seconds old: until an alarm is known, the waits that raise it would have become usual.

import type { Instant } from "@meridian/proto/base";
import { baselineRequestsMin, FirstTokenBaseline } from "./first-token-baseline.ts";

/** Embeddings and answers that are streamed take times that have nothing to do with each other. */
export type WaitKind = "stream" | "embedding";

/** A wait is learned when nobody has spoken of an alarm for so long after it. */
export const holdBackMs = 15_000;
/** More waits of one kind than this in that time are not learned: these are enough. */
const heldMax = 256;

type Wait = { readonly inputTokens: number; readonly firstTokenMs: number };
type Known = {
  readonly baseline: FirstTokenBaseline;
  /** Oldest first. */
  readonly held: { readonly wait: Wait; readonly at: Instant }[];
};

export class Baselines {
  readonly #bySlot: (Partial<Record<WaitKind, Known>> | undefined)[] = [];

  learn(slot: number, kind: WaitKind, wait: Wait, now: Instant): void {
    const bySlot = this.#bySlot[slot] ?? {};
    this.#bySlot[slot] = bySlot;
    const known = bySlot[kind] ?? { baseline: new FirstTokenBaseline(), held: [] };
    bySlot[kind] = known;
    const { baseline, held } = known;
    // Before there is a bound there is no alarm.
    if (baseline.requests < baselineRequestsMin) {
      baseline.learn(wait, now);
      return;
    }
    for (let first = held[0]; first !== undefined; first = held[0]) {
      if (first.at > now - holdBackMs) break;
      baseline.learn(first.wait, now);
      held.shift();
    }
    if (held.length < heldMax) held.push({ wait, at: now });
  }

  /** An alarm builds or holds: the newest waits may be part of it, and are not learned. */
  distrust(slot: number): void {
    for (const known of this.#known(slot)) known.held.length = 0;
  }

  /** Waits that are not learned yet. */
  held(slot: number): number {
    return this.#known(slot).reduce((sum, each) => sum + each.held.length, 0);
  }

  /** Beyond this a wait is slow; Infinity: too little is known. */
  boundMs(slot: number, kind: WaitKind, inputTokens: number): number {
    const known = this.#bySlot[slot]?.[kind];
    return known?.baseline.boundMs(inputTokens) ?? Number.POSITIVE_INFINITY;
  }

  /** How it depends on the length of the input, in milliseconds and per token; undefined: too little is known. */
  fit(
    slot: number,
    kind: WaitKind,
  ): { readonly baseMs: number; readonly msPerToken: number } | undefined {
    return this.#bySlot[slot]?.[kind]?.baseline.fit();
  }

  /** The slot is another target's from now on. */
  forget(slot: number): void {
    this.#bySlot[slot] = undefined;
  }

  #known(slot: number): readonly Known[] {
    const { stream, embedding } = this.#bySlot[slot] ?? {};
    return [stream, embedding].filter((each) => each !== undefined);
  }
}
