// When a proxy probes what. A state machine without a clock: it is asked what is due, and told what came back.

import { assert, type Instant, type Random } from "@meridian/proto/base";

/** What a probe asks: `alive` costs nothing, a `canary` costs tokens. */
export type ProbeKind = "alive" | "canary";

/** A backend as its probes see it. */
export type ProbeTarget = {
  readonly name: string;
  readonly hasCanary: boolean;
  /** Tokens that one canary costs, question and answer. */
  readonly canaryTokens: number;
};

/** How a target stands: what proves itself is asked more often, what is busy anyway less. */
export type ProbeNeed = "usual" | "busy" | "proving";

export type DueProbe = { readonly target: string; readonly kind: ProbeKind };

/** Milliseconds between two probes. Source: reference multiregion 5.3. */
export const probeEveryMs: { readonly [K in ProbeKind]: { readonly [N in ProbeNeed]: number } } = {
  alive: { usual: 1_000, busy: 1_000, proving: 1_000 },
  canary: { usual: 5_000, busy: 30_000, proving: 2_000 },
};

/** A part of the interval by which each one may be shorter: proxies that started together drift apart. */
const jitter = 0.1;

type Schedule = { dueAt: Instant; isRunning: boolean };
type Entry = { readonly target: ProbeTarget; readonly alive: Schedule; readonly canary: Schedule };

/**
 * The probes of one proxy. At most one of a kind is under way per target, so a slow target is not asked more and more.
 *
 * @example
 * plan.arrange([{ name: "us-a", hasCanary: true, canaryTokens: 20 }], now);
 * for (const probe of plan.due(() => "usual", now)) run(probe).finally(() => plan.ended(probe, later));
 */
export class ProbePlan {
  readonly #random: Random;
  readonly #entries = new Map<string, Entry>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** What is to be probed from now on. Targets that stay keep their times. */
  arrange(targets: readonly ProbeTarget[], now: Instant): void {
    const wanted = new Set(targets.map((each) => each.name));
    for (const name of this.#entries.keys()) if (!wanted.has(name)) this.#entries.delete(name);
    for (const target of targets) {
      const held = this.#entries.get(target.name);
      this.#entries.set(target.name, {
        target,
        alive: held?.alive ?? this.#first("alive", now),
        canary: held?.canary ?? this.#first("canary", now),
      });
    }
  }

  /** Probes to start now; each is told as ended later. */
  due(needOf: (target: string) => ProbeNeed, now: Instant): readonly DueProbe[] {
    const due: DueProbe[] = [];
    for (const { target, alive, canary } of this.#entries.values()) {
      const need = needOf(target.name);
      if (this.#start(alive, probeEveryMs.alive[need], now)) {
        due.push({ target: target.name, kind: "alive" });
      }
      if (target.hasCanary && this.#start(canary, probeEveryMs.canary[need], now)) {
        due.push({ target: target.name, kind: "canary" });
      }
    }
    return due;
  }

  ended({ target, kind }: DueProbe): void {
    const entry = this.#entries.get(target);
    if (entry !== undefined) entry[kind].isRunning = false;
  }

  /** Tokens that the canaries of one target cost this proxy in a day at most, while its need stays as it is. */
  tokensPerDay(target: string, need: ProbeNeed): number {
    const entry = this.#entries.get(target);
    if (entry?.target.hasCanary !== true) return 0;
    const leastMs = probeEveryMs.canary[need] * (1 - jitter);
    return Math.ceil(86_400_000 / leastMs) * entry.target.canaryTokens;
  }

  /** Spread over the whole interval: a policy with many backends does not probe them all at once. */
  #first(kind: ProbeKind, now: Instant): Schedule {
    return { dueAt: now + this.#random.next() * probeEveryMs[kind].usual, isRunning: false };
  }

  #start(schedule: Schedule, everyMs: number, now: Instant): boolean {
    assert(everyMs > 0, "an interval is above 0");
    // One that proves itself is asked sooner than it was due before.
    schedule.dueAt = Math.min(schedule.dueAt, now + everyMs);
    if (schedule.isRunning || now < schedule.dueAt) return false;
    schedule.isRunning = true;
    schedule.dueAt = now + everyMs * (1 - jitter * this.#random.next());
    return true;
  }
}
