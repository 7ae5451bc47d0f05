// One region in virtual time: two proxies and the control plane's judge, all of them the real cores. What a fault takes
// to be noticed here includes every wait for a report or a tick.

import { create } from "@bufbuild/protobuf";
import {
  RegionHealth,
  regionHealthLimits,
  type VerdictChange,
} from "@meridian/control-core/health";
import type { Instant, Random } from "@meridian/proto/base";
import { type Policy, PolicySchema } from "@meridian/proto/gen/policy_pb";
import type { HealthVerdict } from "@meridian/proto/health";
import { TrialProxy, type Trouble } from "./trial-proxy.ts";

export type RegionTrialOptions = {
  /** Backends of the whole fleet, by which thresholds are derived. */
  readonly fleet: number;
  /** Of the first backend of a pool of three. */
  readonly trouble: Trouble;
  readonly random: Random;
};

/** Milliseconds from the fault on; Infinity: not within the trial. */
export type Noticed = {
  /** By the quicker proxy's fast path. */
  readonly ejectedMs: number;
  readonly degradedMs: number;
  readonly unhealthyMs: number;
};

const region = "region";
const proxies = 2;
const pool = 3;
/** For each backend of the pool. */
const perSecond = 10;
/** A verdict's way to the proxies. */
const frameMs = 50;
/** All is well so long, and a part of a second. */
const quietMs = 4_000;
const trialMs = 300_000;

/** Runs one fault until the wanted verdict, or until five minutes are over. */
export function noticed(options: RegionTrialOptions, wanted: HealthVerdict): Noticed {
  return new RegionTrial(options).run(wanted);
}

class RegionTrial {
  readonly #random: Random;
  readonly #judge = new RegionHealth();
  readonly #proxies: readonly TrialProxy[];
  readonly #names = Array.from({ length: pool }, (_, slot) => nameOf(slot));
  readonly #trouble: Trouble;
  readonly #faultAt: Instant;
  readonly #noticedAt: { [V in HealthVerdict]: Instant } = {
    healthy: Number.POSITIVE_INFINITY,
    degraded: Number.POSITIVE_INFINITY,
    unhealthy: Number.POSITIVE_INFINITY,
  };

  constructor({ fleet, random, trouble }: RegionTrialOptions) {
    this.#random = random;
    this.#trouble = trouble;
    this.#judge.arrange(policyOf(fleet));
    this.#proxies = Array.from({ length: proxies }, (_, index) => {
      const id = `proxy-${index}`;
      return new TrialProxy(id, this.#names, random.fork(id));
    });
    this.#faultAt = quietMs + random.next() * regionHealthLimits.tickMs;
  }

  run(wanted: HealthVerdict): Noticed {
    const { tickMs, hurryMs } = regionHealthLimits;
    const betweenMs = 1_000 / (perSecond * pool);
    let tickAt = tickMs;
    let hurryAt = this.#random.next() * hurryMs;
    for (let now = 0; now < trialMs; now += betweenMs) {
      for (; tickAt <= now; tickAt += tickMs) this.#tell(this.#judge.tick(tickAt), tickAt);
      for (; hurryAt <= now; hurryAt += hurryMs) this.#tell(this.#judge.hurry(hurryAt), hurryAt);
      if (Number.isFinite(this.#noticedAt[wanted])) break;
      this.#pass(now);
    }
    return this.#noticed();
  }

  #pass(now: Instant): void {
    const isOver = now >= this.#faultAt;
    const troubleOf = (slot: number): Trouble => (slot === 0 && isOver ? this.#trouble : {});
    for (const proxy of this.#proxies) {
      proxy.probe(troubleOf, now);
      const evidence = proxy.report(now);
      if (evidence !== undefined) this.#judge.take({ id: proxy.id, region }, evidence, now);
    }
    this.#proxies[this.#random.integer(proxies)]?.request(troubleOf, now);
  }

  #tell(changes: readonly VerdictChange[], now: Instant): void {
    for (const { name, verdict } of changes) {
      if (name !== nameOf(0) || now < this.#faultAt) continue;
      this.#noticedAt[verdict] = Math.min(this.#noticedAt[verdict], now);
    }
    for (const [slot, name] of this.#names.entries()) {
      const judged = this.#judge.backend(name, now);
      const told = judged === undefined ? undefined : { ...judged, isAgeing: false };
      for (const proxy of this.#proxies) proxy.judge(slot, told, now + frameMs);
    }
  }

  #noticed(): Noticed {
    const { degraded, unhealthy } = this.#noticedAt;
    return {
      ejectedMs: Math.min(...this.#proxies.map((each) => each.ejectedAt)) - this.#faultAt,
      degradedMs: Math.min(degraded, unhealthy) - this.#faultAt,
      unhealthyMs: unhealthy - this.#faultAt,
    };
  }
}

function nameOf(backend: number): string {
  return `backend-${backend}`;
}

/** Backends beyond the pool only make the fleet as large as it is. */
function policyOf(fleet: number): Policy {
  return create(PolicySchema, {
    backends: Array.from({ length: fleet }, (_, index) => ({
      name: nameOf(index),
      region,
      serves: [{ model: index < pool ? "model" : `model-${index}` }],
    })),
  });
}
