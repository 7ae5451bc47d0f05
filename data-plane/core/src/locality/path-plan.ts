// When the ways to other regions are tried: each one every two seconds by every proxy, and every half a minute with a real
// request by one of the region's proxies. Pure.

import type { Instant, Random } from "@meridian/proto/base";
import { chooseProbers } from "@meridian/proto/health";

export const pathEveryMs = {
  /** How does the region stand? */
  state: 2_000,
  /** A request of one token, to a model server there and back. */
  inference: 30_000,
} as const;

/** With three failures in a row at up to 2.2 s each, a way that is cut counts as failing within 8 s. */
export const pathLimitMs = { state: 1_000, inference: 10_000 } as const;

export type PathRequest = keyof typeof pathEveryMs;

export type DuePath = { readonly region: string; readonly kind: PathRequest };

/** Around the time, so that proxies do not fall into step. */
const jitter = 0.1;

const kinds = ["state", "inference"] as const;

type Entry = { dueAt: Instant; isUnderWay: boolean };

/**
 * @example
 * plan.arrange(["us-east"], now);
 * for (const due of plan.due(proxies, now)) …plan.ended(due)
 */
export class PathPlan {
  readonly #random: Random;
  /** This proxy's name in the fleet. */
  readonly #id: string;
  readonly #regions = new Map<string, { readonly [K in PathRequest]: Entry }>();

  constructor(random: Random, id: string) {
    this.#random = random;
    this.#id = id;
  }

  /** These regions are tried from now on, new ones soon. */
  arrange(regions: readonly string[], now: Instant): void {
    for (const region of this.#regions.keys()) {
      if (!regions.includes(region)) this.#regions.delete(region);
    }
    for (const region of regions) {
      if (this.#regions.has(region)) continue;
      // Spread over the first period: after a restart of many proxies nobody is asked by all at once.
      const at = (everyMs: number) => now + this.#random.next() * everyMs;
      this.#regions.set(region, {
        state: { dueAt: at(pathEveryMs.state / 4), isUnderWay: false },
        inference: { dueAt: at(pathEveryMs.inference), isUnderWay: false },
      });
    }
  }

  /**
   * What is to be sent now; each is under way until `ended`. `proxies`: those of the own region, as far as they are known,
   * each once or more often; none: this one is taken to be alone.
   */
  due(proxies: () => readonly string[], now: Instant): readonly DuePath[] {
    const due: DuePath[] = [];
    for (const [region, entries] of this.#regions) {
      for (const kind of kinds) {
        const entry = entries[kind];
        if (entry.isUnderWay || now < entry.dueAt) continue;
        entry.dueAt = now + pathEveryMs[kind] * (1 - jitter + 2 * jitter * this.#random.next());
        if (kind === "inference" && !isTurn(this.#id, region, proxies())) continue;
        entry.isUnderWay = true;
        due.push({ region, kind });
      }
    }
    return due;
  }

  ended({ region, kind }: DuePath): void {
    const entry = this.#regions.get(region)?.[kind];
    // The policy dropped it meanwhile.
    if (entry !== undefined) entry.isUnderWay = false;
  }
}

/** One of them, the same for all who know the same proxies. */
function isTurn(id: string, region: string, proxies: readonly string[]): boolean {
  return proxies.length === 0 || chooseProbers(`path/${region}`, proxies)[0] === id;
}
