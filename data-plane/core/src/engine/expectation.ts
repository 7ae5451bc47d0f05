// When the first token of a request's newest call is expected, and what is learned when it comes: how long such a prompt
// takes there, and how far off the expectation was.

import type { Instant } from "@meridian/proto/base";
import type { WaitKind } from "../health/index.ts";
import { expectedOf } from "./local-outlook.ts";
import type { PlanContext } from "./plan-context.ts";

const nobody = -1;

/** Of one request. */
export class Expectation {
  readonly #context: PlanContext;
  readonly #kind: WaitKind | undefined;
  /** The queue that the next call is sent into, as far as it is no prompts that this proxy sent before. */
  queueMs = 0;
  /** Who gets it beside as much as it may work on: what it waits there tells of the queue, not of the backend. */
  queuedSlot = nobody;
  #slot = nobody;
  #ms = 0;
  #isKnown = false;
  /** What a backend has to compute first; 0: of another region nobody knows. */
  #tokens = 0;
  /** The pool that it was held for, and when its first token was expected then. */
  #heldSlot = nobody;
  #heldUntil = 0;

  constructor(context: PlanContext, kind: WaitKind | undefined) {
    this.#context = context;
    this.#kind = kind;
  }

  /** A backend of this region gets the call; `tokens` stand before its first one there, the own prompt included. */
  calls(slot: number, tokens: number, now: Instant): void {
    this.#context.times.started(slot, now);
    const { queueMs } = this;
    this.queueMs = 0;
    this.#slot = slot;
    this.#tokens = tokens;
    const kind = this.#kind;
    const ms = kind === undefined ? undefined : expectedOf(this.#context, slot, { kind, tokens });
    this.#isKnown = ms !== undefined;
    this.#ms = queueMs + (ms ?? 0);
  }

  /** It is held here for the first time, and expected to have its first token after so long without doubt. */
  holds(poolSlot: number, ms: number, now: Instant): void {
    if (this.#heldSlot !== nobody) return;
    this.#heldSlot = poolSlot;
    this.#heldUntil = now + ms;
  }

  /** Another region gets it, and is expected to take so long. */
  leaves(slot: number, ms: number): void {
    this.#slot = slot;
    this.#tokens = 0;
    this.#ms = ms;
    this.#isKnown = true;
    this.#heldSlot = nobody;
  }

  /** A first token came after so long. */
  came(slot: number, ms: number, now: Instant): void {
    if (slot !== this.#slot) return;
    const { fits, times } = this.#context;
    if (this.#heldSlot !== nobody) times.missed(this.#heldSlot, now - this.#heldUntil, now);
    if (this.#isKnown) times.missed(slot, ms - this.#ms, now);
    if (this.#tokens > 0 && this.#kind === "stream") fits.learn(slot, this.#tokens, ms, now);
  }
}
