// The newest state frame, held for reading: what the control plane says of regions and of own backends.

import type { Instant } from "@meridian/proto/base";
import {
  type BackendState,
  type PoolState,
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

/** The table is made anew each second; one that is older than this tells of another load. */
const tableFreshMs = 5_000;

/** How long a drain holds of which a frame told no end. */
const drainMs = 15_000;

/** What one region's control plane last said of its backends of one model. */
export type PoolView = {
  /** Tokens a second within the objective; undefined: not known, which is neither none nor plenty. */
  readonly capacity: number | undefined;
  /** Tokens a second that the region's own clients ask for. */
  readonly demand: number;
  /** Tokens still to do, under way and held. */
  readonly pending: number;
  readonly backends: number;
  readonly available: number;
  /** Age of the region's word now; infinite: there was none. */
  readonly ageMs: number;
};

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
  /** Model → region → thousandths. */
  #outflows: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map();

  take(frame: StateFrame, now: Instant): void {
    this.#receivedAt = now;
    this.#regions = new Map(frame.regions.map((each) => [each.name, each]));
    const draining = frame.backends.filter((each) => each.draining);
    this.#drainedBackends = new Map(
      draining.map((each) => [each.name, drainEnd(each.drainLeftMs, now)]),
    );
    this.#backends = new Map(frame.backends.map((each) => [each.name, each]));
    this.#outflows = outflowsOf(frame);
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

  /** Ready proxies of a region, as last heard; at least 1. */
  proxies(region: string): number {
    return Math.max(1, this.#regions.get(region)?.proxies ?? 0);
  }

  /** Another region's backends of one model, or the own region's; undefined: no frame tells of them. */
  pool(region: string, model: string, now: Instant): PoolView | undefined {
    const state = this.#regions.get(region);
    const frameAgeMs = this.ageMs(now);
    const pool = state?.pools.find((each) => each.model === model);
    if (state === undefined || pool === undefined || frameAgeMs === undefined) return undefined;
    return {
      capacity: capacityOf(pool),
      demand: pool.demandTokens,
      pending: pool.pendingTokens,
      backends: pool.backends,
      available: pool.available,
      ageMs: state.ageMs === neverMs ? Number.POSITIVE_INFINITY : state.ageMs + frameAgeMs,
    };
  }

  /**
   * How much of its demand for a model the own region may send to another one, 0 to 1, by the region table. Undefined:
   * there is no bound, as one of the two capacities is not known, or the table is too old to go by.
   */
  outflowShare(model: string, region: string, now: Instant): number | undefined {
    const ageMs = this.ageMs(now);
    if (ageMs === undefined || ageMs > tableFreshMs) return undefined;
    const thousandths = this.#outflows.get(model)?.get(region);
    return thousandths === undefined ? undefined : Math.min(1_000, thousandths) / 1_000;
  }

  /** An operator's order to leave a region. It ends at its time, also when no further frame comes. */
  isDraining(region: string, now: Instant): boolean {
    const state = this.#regions.get(region);
    if (state === undefined || !state.draining || this.#receivedAt === undefined) return false;
    return now < drainEnd(state.drainLeftMs, this.#receivedAt);
  }

  /** Some backend is named as draining, perhaps one whose drain has ended. */
  get drainsBackends(): boolean {
    return this.#drainedBackends.size > 0;
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
}

/** No figure means not known, unless there is plainly none. */
function capacityOf({ capacityTokens, available }: PoolState): number | undefined {
  return capacityTokens === 0 && available > 0 ? undefined : capacityTokens;
}

function outflowsOf(frame: StateFrame): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const outflows = new Map<string, Map<string, number>>();
  for (const { model, region, share } of frame.outflows) {
    const row = outflows.get(model) ?? new Map<string, number>();
    row.set(region, share);
    outflows.set(model, row);
  }
  return outflows;
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
