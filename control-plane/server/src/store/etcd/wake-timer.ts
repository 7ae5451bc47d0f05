// The one timer of an engine's shell: set anew to when the engine wants its tick.

import { performance } from "node:perf_hooks";
import type { Instant } from "@meridian/proto/base";

export class WakeTimer {
  readonly #tick: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(tick: () => void) {
    this.#tick = tick;
  }

  /** undefined: no tick is wanted. */
  set(wakeAt: Instant | undefined): void {
    clearTimeout(this.#timer);
    if (wakeAt === undefined) return;
    this.#timer = setTimeout(this.#tick, Math.max(0, Math.ceil(wakeAt - performance.now())));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
