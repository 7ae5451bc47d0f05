// Judges a region's backends by this proxy's own evidence: the same tests as the control plane's, for the time without
// one. It always listens, so that it knows something when it is needed.

import type { Instant } from "@meridian/proto/base";
import {
  type BackendHealth,
  deriveTests,
  emptyFleet,
  type FleetContext,
  type FleetHealth,
  freezesBaseline,
  type HealthCounts,
  healthTimes,
  newBackendHealth,
  shareOf,
  tickFleet,
  verdictOf,
  withHealth,
} from "@meridian/proto/health";
import type { RegionView } from "@meridian/proto/snapshot";
import type { ToldVerdict } from "./told-verdict.ts";

/** One tick for all. */
export const judgeTickMs = 1_000;

/**
 * @example
 * judge.arrange(view);
 * const verdicts = judge.tick(counts, (backend) => heard.get(backend), now); // each second
 * engine.apply({ kind: "verdicts", verdicts }, now);
 */
export class OwnJudge {
  #fleet: FleetHealth = emptyFleet;
  /** What the control plane said in the tick before, of backends that it speaks of. */
  #words: ReadonlyMap<string, ToldVerdict> = new Map();
  #context: FleetContext = {
    tests: deriveTests({ backends: 1, falseAlarmsPerMonth: 1 }),
    times: healthTimes,
    pools: [],
    withCanary: new Set(),
  };

  /** A snapshot came into force. What was learned of backends that stay is kept. */
  arrange(view: Pick<RegionView, "backends" | "health">): void {
    const { fleetBackends, falseAlarmsPerMonth } = view.health;
    const pools = new Map<string, string[]>();
    for (const { name, serves } of view.backends) {
      for (const { model } of serves) {
        const pool = pools.get(model) ?? [];
        pools.set(model, pool);
        if (!pool.includes(name)) pool.push(name);
      }
    }
    this.#context = {
      tests: deriveTests({ backends: Math.max(1, fleetBackends), falseAlarmsPerMonth }),
      times: healthTimes,
      pools: [...pools.values()],
      withCanary: new Set(
        view.backends.flatMap((each) => (each.probe.canary === undefined ? [] : [each.name])),
      ),
    };
  }

  /**
   * Takes one second of counts; returns a verdict for each backend. `heard`: what the control plane says now. From the
   * moment that it says nothing more of a backend that it held out, that one has to prove itself here.
   */
  tick(
    counts: ReadonlyMap<string, HealthCounts>,
    heard: (backend: string) => ToldVerdict | undefined,
    now: Instant,
  ): ReadonlyMap<string, ToldVerdict> {
    this.#takeOver(heard, now);
    const clock = { now, tickMs: judgeTickMs };
    this.#fleet = tickFleet(this.#fleet, counts, this.#context, clock);
    return new Map(
      [...this.#fleet.backends].map(([name, { health }]) => [name, this.#toldBy(health, now)]),
    );
  }

  #takeOver(heard: (backend: string) => ToldVerdict | undefined, now: Instant): void {
    const words = new Map<string, ToldVerdict>();
    for (const [name, { health }] of this.#fleet.backends) {
      const word = heard(name);
      if (word !== undefined) {
        words.set(name, word);
        continue;
      }
      const isOut = this.#words.get(name)?.verdict === "unhealthy";
      const isIn = health.phase === "in" || health.phase === "returning";
      if (isOut && isIn) this.#fleet = withHealth(this.#fleet, name, heldOut(now));
    }
    this.#words = words;
  }

  #toldBy(health: BackendHealth, now: Instant): ToldVerdict {
    return {
      verdict: verdictOf(health, healthTimes, now),
      share: shareOf(health, healthTimes, now),
      isProving: health.phase === "proving",
      freezesBaseline: freezesBaseline(health, this.#context, now),
      isAgeing: false,
    };
  }
}

/** Out by the control plane's word: from the next tick on it may prove itself. */
function heldOut(now: Instant): BackendHealth {
  return {
    ...newBackendHealth(now),
    phase: "out",
    until: now,
    ejections: 1,
    ejectedAt: now,
    reason: "held out by the control plane, which is silent",
  };
}
