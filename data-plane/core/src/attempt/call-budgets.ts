// How many calls beyond each request's first one may be made, so that trouble is not answered with a multiple of load.
// One budget for retries and one for hedges, over all routes: what they protect, the backends, is shared by routes, too.

import type { Instant } from "@meridian/proto/base";
import type { CallBudget } from "./attempt.ts";

/**
 * Source: Twitter Finagle, RetryBudget (deposits by requests, a floor by time). Calls per second and calls; each request
 * adds the share that its route's policy names.
 */
export const callBudgetLimits = {
  retry: {
    /** By time alone, so that a proxy with little traffic retries, too. */
    floorPerSecond: 10,
    /** What the floor fills up to: so many requests may lose their backend at one moment, whatever came before. */
    burst: 100,
    /** What requests fill up to: ten seconds of 1,000 requests/s at 10 %. */
    savedMax: 1_000,
  },
  hedge: { floorPerSecond: 0, burst: 0, savedMax: 10 },
} as const;

/** Int32 cells. Counts are thousandths of a call that are missing from the burst: all zero is a budget at its start. */
const cells = { retry: 0, retryFilledAt: 1, hedge: 2, all: 4 } as const;

const perCall = 1_000;

/** Bytes that budgets need; threads of one proxy share them. */
export const callBudgetBytes = cells.all * Int32Array.BYTES_PER_ELEMENT;

/**
 * Both budgets. Calls from several threads at once may refuse one call too many, never allow one.
 *
 * @example
 * budgets.deposit("retry", 10);        // a request of a route with 10 %
 * budgets.spend("retry", now);         // true: the call may be made
 */
export class CallBudgets {
  readonly #cells: Int32Array;

  constructor(buffer: ArrayBufferLike = new ArrayBuffer(callBudgetBytes)) {
    this.#cells = new Int32Array(buffer);
  }

  /** A request came, of which `percent` may be called again. */
  deposit(budget: CallBudget, percent: number): void {
    const { burst, savedMax } = callBudgetLimits[budget];
    const full = (burst - savedMax) * perCall;
    const room = Atomics.load(this.#cells, cells[budget]) - full;
    const gain = Math.min(room, Math.round((percent * perCall) / 100));
    if (gain > 0) Atomics.sub(this.#cells, cells[budget], gain);
  }

  spend(budget: CallBudget, now: Instant): boolean {
    if (budget === "retry") this.#fill(now);
    const missing = Atomics.add(this.#cells, cells[budget], perCall) + perCall;
    if (missing <= callBudgetLimits[budget].burst * perCall) return true;
    Atomics.sub(this.#cells, cells[budget], perCall);
    return false;
  }

  /** Calls that may be made now. */
  left(budget: CallBudget, now: Instant): number {
    if (budget === "retry") this.#fill(now);
    const missing = Atomics.load(this.#cells, cells[budget]);
    return Math.floor(callBudgetLimits[budget].burst - missing / perCall);
  }

  /** What time gives back: never beyond the burst. Only who moves the time on may add what it brought. */
  #fill(now: Instant): void {
    const { floorPerSecond } = callBudgetLimits.retry;
    // Tenths of a second: 32 bits last for years.
    const tenths = Math.floor(now / 100) | 0;
    const before = Atomics.load(this.#cells, cells.retryFilledAt);
    if (tenths <= before) return;
    const won = Atomics.compareExchange(this.#cells, cells.retryFilledAt, before, tenths);
    if (won !== before) return;
    const gain = ((tenths - before) * floorPerSecond * perCall) / 10;
    const missing = Atomics.load(this.#cells, cells.retry);
    if (missing > 0) Atomics.sub(this.#cells, cells.retry, Math.min(missing, gain));
  }
}
