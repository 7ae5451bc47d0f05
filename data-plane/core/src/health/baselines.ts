// What the first token of each target usually takes, by slot and kind of request. See first-token-baseline.ts.

import type { Instant } from "@meridian/proto/base";
import { FirstTokenBaseline } from "./first-token-baseline.ts";

/** Embeddings and answers that are streamed take times that have nothing to do with each other. */
export type WaitKind = "stream" | "embedding";

export class Baselines {
  readonly #bySlot: (Partial<Record<WaitKind, FirstTokenBaseline>> | undefined)[] = [];

  learn(
    slot: number,
    kind: WaitKind,
    wait: { readonly inputTokens: number; readonly firstTokenMs: number },
    now: Instant,
  ): void {
    const known = this.#bySlot[slot] ?? {};
    this.#bySlot[slot] = known;
    const baseline = known[kind] ?? new FirstTokenBaseline();
    known[kind] = baseline;
    baseline.learn(wait, now);
  }

  /** Beyond this a wait is slow; Infinity: too little is known. */
  boundMs(slot: number, kind: WaitKind, inputTokens: number): number {
    return this.#bySlot[slot]?.[kind]?.boundMs(inputTokens) ?? Number.POSITIVE_INFINITY;
  }

  /** How it depends on the length of the input, in milliseconds and per token; undefined: too little is known. */
  fit(
    slot: number,
    kind: WaitKind,
  ): { readonly baseMs: number; readonly msPerToken: number } | undefined {
    return this.#bySlot[slot]?.[kind]?.fit();
  }

  /** The slot is another target's from now on. */
  forget(slot: number): void {
    this.#bySlot[slot] = undefined;
  }
}
