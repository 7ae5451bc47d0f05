// The newest state frame, held for reading: what the control plane says of regions and of own backends.

import type { Instant } from "@meridian/proto/base";
import {
  type BackendState,
  type RegionState,
  type StateFrame,
  Verdict,
} from "@meridian/proto/gen/sync_pb";
import type { HealthVerdict } from "@meridian/proto/health";
import type { ToldVerdict } from "../health/index.ts";
import type { RegionStateView } from "../locality/index.ts";
import { trustAt } from "../sync/index.ts";

/** Never written: 2^32 - 1. */
const neverMs = 0xffff_ffff;

/** A frame as old as this says too little of now: a proxy goes by its own evidence. */
const aloneAfterMs = 15_000;

/** How long a drain holds of which a frame told no end. */
const drainMs = 15_000;

/** What a verdict of a frame so old is worth, 1 to 0. `ageMs`: of the newest frame; undefined: there was none. */
export function verdictTrust(ageMs: number | undefined): number {
  return ageMs === undefined ? 0 : trustAt(ageMs, aloneAfterMs);
}

export function isAlone(ageMs: number | undefined): boolean {
  return verdictTrust(ageMs) === 0;
}

/** A frame and when it came. Absent knowledge is absent, never "fine" and never "down". */
export class HeldState {
  #receivedAt: Instant | undefined;
  #regions = new Map<string, RegionState>();
  /** Name → the instant at which the drain ends by itself. */
  #drainedBackends = new Map<string, Instant>();
  #backends = new Map<string, BackendState>();

  take(frame: StateFrame, now: Instant): void {
    this.#receivedAt = now;
    this.#regions = new Map(frame.regions.map((each) => [each.name, each]));
    const draining = frame.backends.filter((each) => each.draining);
    this.#drainedBackends = new Map(
      draining.map((each) => [each.name, drainEnd(each.drainLeftMs, now)]),
    );
    this.#backends = new Map(frame.backends.map((each) => [each.name, each]));
  }

  ageMs(now: Instant): number | undefined {
    return this.#receivedAt === undefined ? undefined : now - this.#receivedAt;
  }

  /** `models` are those that would do. */
  region(name: string, models: readonly string[], now: Instant): RegionStateView | undefined {
    const state = this.#regions.get(name);
    const frameAgeMs = this.ageMs(now);
    if (state === undefined || frameAgeMs === undefined) return undefined;
    const pools = state.pools.filter((each) => models.includes(each.model));
    const available = pools.reduce((sum, each) => sum + each.available, 0);
    const ageMs = state.ageMs === neverMs ? Number.POSITIVE_INFINITY : state.ageMs + frameAgeMs;
    return {
      draining: this.isDraining(name, now),
      ageMs,
      available: state.pools.length === 0 ? undefined : available * trustAt(ageMs),
    };
  }

  /** An operator's order to leave a region. It ends at its time, also when no further frame comes. */
  isDraining(region: string, now: Instant): boolean {
    const state = this.#regions.get(region);
    if (state === undefined || !state.draining || this.#receivedAt === undefined) return false;
    return now < drainEnd(state.drainLeftMs, this.#receivedAt);
  }

  /** The same for one backend. */
  isBackendDraining(name: string, now: Instant): boolean {
    const end = this.#drainedBackends.get(name);
    return end !== undefined && now < end;
  }

  /** The control plane's verdict on a backend; undefined: it has none. */
  told(name: string): ToldVerdict | undefined {
    const state = this.#backends.get(name);
    const verdict = state === undefined ? undefined : verdictName(state.verdict);
    if (state === undefined || verdict === undefined) return undefined;
    return {
      verdict,
      share: shareOf(verdict, state.share),
      isProving: state.proving,
      freezesBaseline: state.freezeBaseline,
      isAgeing: false,
    };
  }

  /** Who probes a backend; empty: nobody was named. */
  probers(name: string): readonly string[] {
    return this.#backends.get(name)?.probers ?? [];
  }

  /** What the vector of its embedding canary must be near to; empty: none was taken yet. */
  canaryVector(name: string): readonly number[] {
    return this.#backends.get(name)?.canaryVector ?? [];
  }

  /** Which question that vector answers. */
  canaryMark(name: string): number {
    return this.#backends.get(name)?.canaryMark ?? 0;
  }
}

/** A build that knows no shares leaves the field at 0. */
function shareOf(verdict: HealthVerdict, thousandths: number): number {
  if (verdict === "unhealthy") return 0;
  if (thousandths === 0) return verdict === "degraded" ? 0.5 : 1;
  return Math.min(1_000, thousandths) / 1_000;
}

/** A frame that names no end was made by a build without it. */
function drainEnd(leftMs: number, receivedAt: Instant): Instant {
  return receivedAt + (leftMs === 0 ? drainMs : leftMs);
}

function verdictName(verdict: Verdict): HealthVerdict | undefined {
  switch (verdict) {
    case Verdict.healthy:
      return "healthy";
    case Verdict.degraded:
      return "degraded";
    case Verdict.unhealthy:
      return "unhealthy";
    default:
      return undefined;
  }
}
