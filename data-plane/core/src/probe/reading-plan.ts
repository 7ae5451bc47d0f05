// When the metrics of model servers are read: often while requests are under way, seldom else, and hardly ever where
// there are none. Pure.

import type { Instant, Random } from "@meridian/proto/base";

export const readingEveryMs = {
  /** Requests are under way. */
  busy: 500,
  /** So that what it said is still good, in five seconds, when its first request comes. */
  idle: 4_000,
  /** It has no metrics that tell a queue: it may be another server by then. */
  silent: 60_000,
} as const;

/**
 * Up to so many proxies of a region each read a busy server as often as that; more of them share the rate. How many they
 * are shows in what the server has under way beside one's own.
 */
const proxiesAtFullRate = 8;
/** A reading is good for five seconds. */
const sharedMostMs = 4_000;

/** Around the time, so that proxies and servers do not fall into step. */
const jitter = 0.1;

/** What came of a reading. `requests`: what the server has in all, as far as it says. */
export type ReadingResult =
  | { readonly kind: "read"; readonly requests: number | undefined }
  | { readonly kind: "silent" }
  | { readonly kind: "failed" };

type Entry = { readAt: Instant; isUnderWay: boolean; result: ReadingResult; factor: number };

/**
 * @example
 * plan.arrange(["us-a"]);
 * for (const name of plan.due((name) => inFlight(name), now)) …plan.ended(name, { kind: "silent" }, now)
 */
export class ReadingPlan {
  readonly #random: Random;
  readonly #entries = new Map<string, Entry>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** These are read from now on; what is known of those that stay is kept. */
  arrange(names: readonly string[]): void {
    for (const name of this.#entries.keys()) {
      if (!names.includes(name)) this.#entries.delete(name);
    }
    for (const name of names) {
      if (this.#entries.has(name)) continue;
      const fresh: Entry = {
        readAt: Number.NEGATIVE_INFINITY,
        isUnderWay: false,
        result: { kind: "failed" },
        factor: 1,
      };
      this.#entries.set(name, fresh);
    }
  }

  /** Who is to be read now. Each is under way until `ended`. */
  due(inFlight: (name: string) => number, now: Instant): readonly string[] {
    const due: string[] = [];
    for (const [name, entry] of this.#entries) {
      if (entry.isUnderWay) continue;
      const everyMs = everyMsOf(entry.result, inFlight(name)) * entry.factor;
      if (now - entry.readAt < everyMs) continue;
      entry.isUnderWay = true;
      due.push(name);
    }
    return due;
  }

  ended(name: string, result: ReadingResult, now: Instant): void {
    const entry = this.#entries.get(name);
    // The policy dropped it meanwhile.
    if (entry === undefined) return;
    entry.isUnderWay = false;
    entry.readAt = now;
    entry.result = result;
    entry.factor = 1 - jitter + 2 * jitter * this.#random.next();
  }
}

function everyMsOf(result: ReadingResult, inFlight: number): number {
  if (result.kind === "silent") return readingEveryMs.silent;
  if (inFlight <= 0) return readingEveryMs.idle;
  if (result.kind === "failed") return readingEveryMs.idle;
  const proxies = (result.requests ?? 0) / inFlight;
  const sharedMs = (readingEveryMs.busy * proxies) / proxiesAtFullRate;
  return Math.min(sharedMostMs, Math.max(readingEveryMs.busy, sharedMs));
}
