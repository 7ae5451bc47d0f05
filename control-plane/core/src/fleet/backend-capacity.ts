// How much work one backend was seen to do while its first tokens were in time: the estimate of what it can bear where
// the policy does not say. A rate that was never near a limit tells what was asked, not what can be borne; so there is no
// estimate until the backend was seen full or late (reference 3.2: the largest load at which the objective held).

import type { Instant } from "@meridian/proto/base";

/** One proxy's second of one backend. */
export type Work = {
  /** Of requests that ended, input and output. */
  readonly tokens: number;
  /** First tokens whose wait could be judged, and those that came too late. */
  readonly timed: number;
  readonly slow: number;
  /** Something was under way there. */
  readonly isBusy: boolean;
  /** Requests waited in it, or for it. */
  readonly isFull: boolean;
};

export const capacityLimits = {
  /** Long enough that requests which end together do not make a rate. */
  windowMs: 30_000,
  /** How long a window speaks. */
  memoryMs: 600_000,
  /** A window in which fewer waits could be judged says nothing of lateness. */
  timedMin: 10,
  /** First tokens of a window that may be late: the 95th percentile held. */
  slowMax: 0.05,
  /** Of a window's seconds, those that must be busy, or full, for the window to be. */
  secondsMin: 15,
} as const;

type Window = {
  readonly at: Instant;
  /** What was done in time, tokens a second; undefined: it says nothing, as it was idle or too little could be judged. */
  readonly rate: number | undefined;
  /** Its first tokens were in time. */
  readonly isGood: boolean;
  /** Full, or its first tokens were late: more would not have gone in. */
  readonly isAtLimit: boolean;
};

/**
 * @example
 * capacity.note(work, now); // each report
 * capacity.tokensPerSecond(now); // undefined until it was at its limit
 */
export class BackendCapacity {
  #windows: readonly Window[] = [];
  #startedAt: Instant | undefined;
  #tokens = 0;
  #timed = 0;
  #slow = 0;
  #busy = new Set<number>();
  #full = new Set<number>();
  /** The largest rate while there were good windows: stands while there are none because all are late. */
  #lastGood: number | undefined;

  note(work: Work, now: Instant): void {
    this.#roll(now);
    this.#startedAt ??= now;
    this.#tokens += work.tokens;
    this.#timed += work.timed;
    this.#slow += Math.min(work.slow, work.timed);
    const second = Math.floor(now / 1_000);
    if (work.isBusy) this.#busy.add(second);
    if (work.isFull) this.#full.add(second);
  }

  /** The largest rate of the last ten minutes' windows, if one of them was at the limit. */
  tokensPerSecond(now: Instant): number | undefined {
    this.#roll(now);
    const heard = this.#windows.filter((each) => each.at > now - capacityLimits.memoryMs);
    if (!heard.some((each) => each.isAtLimit)) return undefined;
    const former = heard.some((each) => each.isGood) ? undefined : this.#lastGood;
    return largest([...rates(heard), ...(former === undefined ? [] : [former])]);
  }

  #roll(now: Instant): void {
    const startedAt = this.#startedAt;
    if (startedAt === undefined || now < startedAt + capacityLimits.windowMs) return;
    const window = this.#close(startedAt);
    const oldest = now - capacityLimits.memoryMs;
    this.#windows = [...this.#windows, window].filter((each) => each.at > oldest);
    if (this.#windows.some((each) => each.isGood)) this.#lastGood = largest(rates(this.#windows));
    this.#startedAt = undefined;
    this.#tokens = 0;
    this.#timed = 0;
    this.#slow = 0;
    this.#busy.clear();
    this.#full.clear();
  }

  #close(startedAt: Instant): Window {
    const { windowMs, timedMin, slowMax, secondsMin } = capacityLimits;
    const isJudged = this.#timed >= timedMin;
    const isLate = isJudged && this.#slow > slowMax * this.#timed;
    const isTelling = this.#busy.size >= secondsMin && this.#tokens > 0 && isJudged;
    // Of a late window that part counts which was in time (goodput, as DistServe has it): the rates of backends that are
    // now and then a little late would else be those of their quiet times.
    const inTime = isLate ? 1 - this.#slow / this.#timed : 1;
    return {
      at: startedAt + windowMs,
      rate: isTelling ? (this.#tokens * inTime * 1_000) / windowMs : undefined,
      isGood: isTelling && !isLate,
      isAtLimit: isLate || this.#full.size >= secondsMin,
    };
  }
}

function rates(windows: readonly Window[]): readonly number[] {
  return windows.flatMap(({ rate }) => (rate === undefined ? [] : [rate]));
}

function largest(all: readonly number[]): number | undefined {
  const most = Math.max(0, ...all);
  return most > 0 ? most : undefined;
}
