// Judges a region's backends by this proxy's own evidence: the same tests as the control plane's, for the time without
// one. It always listens, so that it knows something when it is needed.

import type { Instant } from "@meridian/proto/base";
import {
  type BackendHealth,
  deriveTests,
  emptyFleet,
  type FleetContext,
  type FleetHealth,
  type HealthCounts,
  healthTimes,
  newBackendHealth,
  shareOf,
  tickFleet,
  verdictOf,
} from "@meridian/proto/health";
import type { RegionView } from "@meridian/proto/snapshot";
import type { ToldVerdict } from "./told-verdict.ts";

/** One tick for all. */
export const judgeTickMs = 1_000;

/** After a return what is usual stays what it was for so long. */
const frozenMs = 600_000;

/**
 * @example
 * judge.arrange(view);
 * const verdicts = judge.tick(counts, { isAlone, told }, now); // each second
 * if (isAlone) engine.apply({ kind: "verdicts", verdicts }, now);
 */
export class OwnJudge {
  #fleet: FleetHealth = emptyFleet;
  #wasAlone = false;
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
   * Takes one second of counts; returns a verdict for each backend. `told`: what the control plane last said. From the
   * moment that it says nothing more, what it held out has to prove itself here.
   */
  tick(
    counts: ReadonlyMap<string, HealthCounts>,
    given: {
      readonly isAlone: boolean;
      readonly told: (backend: string) => ToldVerdict | undefined;
    },
    now: Instant,
  ): ReadonlyMap<string, ToldVerdict> {
    if (given.isAlone && !this.#wasAlone) this.#takeOver(given.told, now);
    this.#wasAlone = given.isAlone;
    const clock = { now, tickMs: judgeTickMs };
    this.#fleet = tickFleet(this.#fleet, counts, this.#context, clock);
    return new Map(
      [...this.#fleet.backends].map(([name, { health }]) => [name, this.#toldBy(health, now)]),
    );
  }

  #takeOver(told: (backend: string) => ToldVerdict | undefined, now: Instant): void {
    const backends = new Map(this.#fleet.backends);
    for (const [name, member] of backends) {
      const isOut = told(name)?.verdict === "unhealthy";
      const isIn = member.health.phase === "in" || member.health.phase === "returning";
      if (isOut && isIn) backends.set(name, { ...member, health: heldOut(now) });
    }
    this.#fleet = { backends };
  }

  #toldBy(health: BackendHealth, now: Instant): ToldVerdict {
    const { slow } = health.signals;
    return {
      verdict: verdictOf(health, healthTimes, now),
      share: shareOf(health, healthTimes, now),
      isProving: health.phase === "proving",
      freezesBaseline:
        slow.sum > this.#context.tests.slow.h / 2 ||
        health.phase === "returning" ||
        now - health.ejectedAt < frozenMs,
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
