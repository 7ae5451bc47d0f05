// One region in virtual time: proxies with their fast path, their reports at phases of their own, and the control plane's
// judge, all of them the real cores. What a fault takes to be noticed here includes every wait for a report or a tick.

import { create } from "@bufbuild/protobuf";
import {
  type BackendEvidence,
  RegionHealth,
  regionHealthLimits,
} from "@meridian/control-core/health";
import { type LoadView, leastOutstanding } from "@meridian/data-core/balance";
import { type Evidence, PassiveHealth } from "@meridian/data-core/health";
import type { Random } from "@meridian/proto/base";
import { type Policy, PolicySchema } from "@meridian/proto/gen/policy_pb";
import type { HealthVerdict } from "@meridian/proto/health";
import { longerThanUsual } from "./detection.ts";

/** What becomes of what the faulty backend is asked. */
export type Trouble = {
  /** Share of its requests that fail. */
  readonly failing?: number;
  /** It is gone: whatever it is asked fails at once, probes too. */
  readonly isGone?: boolean;
  /** First tokens so many times as slow. */
  readonly slower?: number;
};

export type RegionTrialOptions = {
  /** Backends of the whole fleet, by which thresholds are derived. */
  readonly fleet: number;
  readonly trouble: Trouble;
  readonly random: Random;
};

/** Milliseconds from the fault on; Infinity: never within the trial. */
export type Noticed = {
  /** The first proxy's fast path. */
  readonly ejectedMs: number;
  readonly degradedMs: number;
  readonly unhealthyMs: number;
};

const region = "region";
const proxies = 2;
/** The pool's backends; the first one is the one in trouble. */
const pool = 3;
const perSecond = 10;
const streamed = 0.5;
/** A report is due each second, and its timer looks each 100 ms. */
const reportMs = { least: 1_000, more: 100 } as const;
/** What an answer takes. */
const answerMs = 45;
const requestTokens = 260;
/** A verdict's way to the proxies. */
const frameMs = 50;
const quietMs = 4_000;
const trialMs = 300_000;
/** Fails among the requests of a good backend, and slow ones. */
const usual = { failing: 0, slow: 0.05 } as const;

/** Runs one fault until the wanted verdict, or until five minutes are over. */
export function noticed(options: RegionTrialOptions, wanted: HealthVerdict): Noticed {
  const trial = new RegionTrial(options);
  return trial.run(wanted);
}

type ProxyState = {
  readonly id: string;
  readonly health: PassiveHealth;
  /** When what each backend is answering ends. */
  readonly busy: number[][];
  /** By backend, since the last report. */
  counts: Map<number, Counts>;
  reportAt: number;
  probeAt: number;
};

type Counts = { -readonly [K in keyof BackendEvidence]: BackendEvidence[K] };

class RegionTrial {
  readonly #options: RegionTrialOptions;
  readonly #judge = new RegionHealth();
  readonly #proxies: readonly ProxyState[];
  readonly #faultAt: number;
  #ejectedAt = Number.POSITIVE_INFINITY;
  #degradedAt = Number.POSITIVE_INFINITY;
  #unhealthyAt = Number.POSITIVE_INFINITY;

  constructor(options: RegionTrialOptions) {
    this.#options = options;
    const { random } = options;
    this.#judge.arrange(policyOf(options.fleet));
    this.#proxies = Array.from({ length: proxies }, (_, index) => {
      const health = new PassiveHealth(random.fork(`proxy ${index}`));
      const slots = Array.from({ length: pool }, (_each, slot) => slot);
      health.arrange([{ slots, elsewhere: false }]);
      const reportAt = random.next() * reportMs.least;
      const probeAt = random.next() * 1_000;
      return {
        id: `proxy-${index}`,
        health,
        busy: slots.map(() => []),
        counts: new Map(),
        reportAt,
        probeAt,
      };
    });
    this.#faultAt = quietMs + random.next() * regionHealthLimits.tickMs;
  }

  run(wanted: HealthVerdict): Noticed {
    const betweenMs = 1_000 / (perSecond * pool);
    let tickAt = regionHealthLimits.tickMs;
    for (let now = 0; now < trialMs; now += betweenMs) {
      while (tickAt <= now) {
        this.#tick(tickAt);
        tickAt += regionHealthLimits.tickMs;
        if (this.#isDone(wanted)) return this.#noticed();
      }
      for (const proxy of this.#proxies) this.#reportAndProbe(proxy, now);
      this.#request(now);
    }
    return this.#noticed();
  }

  #isDone(wanted: HealthVerdict): boolean {
    const at = wanted === "degraded" ? this.#degradedAt : this.#unhealthyAt;
    return Number.isFinite(at);
  }

  #noticed(): Noticed {
    const from = this.#faultAt;
    return {
      ejectedMs: this.#ejectedAt - from,
      degradedMs: Math.min(this.#degradedAt, this.#unhealthyAt) - from,
      unhealthyMs: this.#unhealthyAt - from,
    };
  }

  #tick(now: number): void {
    for (const change of this.#judge.tick(now)) {
      if (change.name !== nameOf(0) || now < this.#faultAt) continue;
      if (change.verdict === "degraded") this.#degradedAt = Math.min(this.#degradedAt, now);
      if (change.verdict === "unhealthy") this.#unhealthyAt = Math.min(this.#unhealthyAt, now);
    }
    for (let slot = 0; slot < pool; slot++) {
      const told = this.#judge.backend(nameOf(slot), now);
      for (const { health } of this.#proxies) health.judge(slot, told, now + frameMs);
    }
  }

  #reportAndProbe(proxy: ProxyState, now: number): void {
    if (proxy.probeAt <= now) {
      proxy.probeAt += 1_000;
      for (let slot = 0; slot < pool; slot++) {
        const counts = countsOf(proxy, slot);
        counts.probes += 1;
        if (this.#isTroubled(slot, now) && this.#options.trouble.isGone === true) {
          counts.probesFailed += 1;
        }
      }
    }
    if (proxy.reportAt > now) return;
    proxy.reportAt += reportMs.least + this.#options.random.next() * reportMs.more;
    const evidence = Array.from({ length: pool }, (_, slot) => {
      const standing = proxy.health.standing(slot, now);
      const ejected = standing === "ejected" || standing.startsWith("trial");
      return { ...countsOf(proxy, slot), ejected };
    });
    this.#judge.take({ id: proxy.id, region }, evidence, now);
    proxy.counts = new Map();
  }

  /** One request by any of the proxies, which asks another backend when the first one fails. */
  #request(now: number): void {
    const { random } = this.#options;
    const proxy = this.#proxies[random.integer(proxies)];
    if (proxy === undefined) return;
    const isStreamed = random.next() < streamed;
    for (let asked = new Set<number>(); ; ) {
      const slot = this.#choose(proxy, asked, now);
      if (slot === undefined) return;
      asked = new Set([...asked, slot]);
      if (this.#ask(proxy, slot, { isStreamed, now })) return;
    }
  }

  #choose(proxy: ProxyState, asked: ReadonlySet<number>, now: number): number | undefined {
    const slots = proxy.busy.map((_, slot) => slot).filter((slot) => !asked.has(slot));
    const weights = slots.map((slot) => proxy.health.share(slot, now));
    const inFlight = (slot: number) =>
      (proxy.busy[slot] ?? []).filter((endsAt) => endsAt > now).length;
    const load: LoadView = { inFlight, pendingTokens: (slot) => inFlight(slot) * requestTokens };
    const place = leastOutstanding.pick(
      { slots, weights, load, tokens: requestTokens },
      this.#options.random,
    );
    return slots[place];
  }

  /** false: it failed. */
  #ask(
    { health, ...proxy }: ProxyState,
    slot: number,
    { isStreamed, now }: { readonly isStreamed: boolean; readonly now: number },
  ): boolean {
    const { random, trouble } = this.#options;
    const isTroubled = this.#isTroubled(slot, now);
    const isGone = isTroubled && trouble.isGone === true;
    const rate = isTroubled ? (trouble.failing ?? usual.failing) : usual.failing;
    const fails = isGone || random.next() < rate;
    const counts = countsOf(proxy, slot);
    health.started(slot, now);
    const evidence: Evidence = isGone ? "connect-failure" : fails ? "failure" : "success";
    const change = health.ended({ slot, evidence, startedAt: now }, now);
    if (change?.kind === "ejected" && slot === 0) this.#ejectedAt = Math.min(this.#ejectedAt, now);
    if (fails) {
      counts.failed += 1;
      if (isGone) counts.connectFailed += 1;
      return false;
    }
    counts.succeeded += 1;
    proxy.busy[slot] = [
      ...(proxy.busy[slot] ?? []).filter((endsAt) => endsAt > now),
      now + answerMs,
    ];
    if (!isStreamed) return true;
    counts.timed += 1;
    if (longerThanUsual(random, isTroubled ? (trouble.slower ?? 1) : 1)) counts.slow += 1;
    return true;
  }

  #isTroubled(slot: number, now: number): boolean {
    return slot === 0 && now >= this.#faultAt;
  }
}

function nameOf(backend: number): string {
  return `backend-${backend}`;
}

function countsOf({ counts }: Pick<ProxyState, "counts">, slot: number): Counts {
  const held = counts.get(slot);
  if (held !== undefined) return held;
  const fresh: Counts = {
    name: nameOf(slot),
    succeeded: 0,
    failed: 0,
    connectFailed: 0,
    timed: 0,
    slow: 0,
    probes: 0,
    probesFailed: 0,
    canaries: 0,
    canariesWrong: 0,
    ejected: false,
    canaryTokensPerDay: 0,
    canaryVector: [],
  };
  counts.set(slot, fresh);
  return fresh;
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
