// The health of the backends whose proxies report here: what all of them saw in a second is one tick of the judge. The
// tests are proto's; here is the pooling, the memory of verdicts, and who probes whom. Pure: `now` is an argument.

import type { Instant } from "@meridian/proto/base";
import type { Backend, Policy } from "@meridian/proto/gen/policy_pb";
import {
  addCounts,
  type BackendHealth,
  chooseProbers,
  deriveTests,
  emptyFleet,
  type FleetContext,
  type FleetHealth,
  freezesBaseline,
  type HealthCounts,
  type HealthTests,
  type HealthVerdict,
  healthTimes,
  noCounts,
  shareOf,
  tickFleet,
  verdictOf,
  withHealth,
} from "@meridian/proto/health";
import { recallHealth, type VerdictNote } from "./verdict-note.ts";

/** What one proxy reports of one backend for one second; a BackendReport has this form. */
export type BackendEvidence = {
  readonly name: string;
  readonly succeeded: number;
  readonly failed: number;
  readonly connectFailed: number;
  readonly timed: number;
  readonly slow: number;
  readonly probes: number;
  readonly probesFailed: number;
  readonly canaries: number;
  readonly canariesWrong: number;
  readonly ejected: boolean;
  readonly canaryTokensPerDay: number;
  readonly canaryVector: readonly number[];
};

/** A proxy that reports; the region is its certificate's. */
export type Reporter = { readonly id: string; readonly region: string };

/** What frames, digests and people are told of one backend. */
export type JudgedBackend = {
  readonly name: string;
  readonly region: string;
  readonly verdict: HealthVerdict;
  /** Of its weight, 0 to 1. */
  readonly share: number;
  readonly isProving: boolean;
  readonly freezesBaseline: boolean;
  readonly probers: readonly string[];
  readonly canaryVector: readonly number[];
  readonly canaryTokensPerDay: number;
  readonly health: BackendHealth;
  readonly heardAt: Instant;
};

export type VerdictChange = {
  readonly at: Instant;
  readonly name: string;
  readonly verdict: HealthVerdict;
  readonly reason: string;
};

export const regionHealthLimits = {
  /** One tick for all backends. */
  tickMs: 1_000,
  /** A proxy that was silent for longer is no witness and no prober. */
  freshMs: 5_000,
  /** Without any report for longer there is no verdict: proxies go by their own evidence. */
  judgeMs: 10_000,
  historyMax: 50,
  reportersMax: 2_000,
  /** Proxies hear of a return a little later than it happens: until then what they hold out says nothing new. */
  returnGraceMs: 3_000,
  vectorMax: 64,
} as const;

type Entry = {
  readonly region: string;
  counts: HealthCounts;
  readonly ejectedBy: Map<string, Instant>;
  readonly tokensPerDay: Map<string, number>;
  probers: readonly string[];
  heardAt: Instant;
  /** The first that came while there was none; later ones are compared with it. */
  vector: readonly number[];
  verdict: HealthVerdict;
  reason: string;
  readonly history: VerdictChange[];
};

const never = Number.NEGATIVE_INFINITY;

/** What was last told of a region's backends, by whoever judged them; undefined: nothing was. */
export type Recall = (region: string) => readonly VerdictNote[] | undefined;

/**
 * Judges backends from reports.
 *
 * @example
 * health.arrange(policy);
 * health.take({ id: "proxy-eu-1", region: "eu-west" }, report.backends, now);
 * for (const change of health.tick(now)) log(change); // each second
 */
export class RegionHealth {
  readonly #recall: Recall;
  readonly #entries = new Map<string, Entry>();
  readonly #reporters = new Map<string, { readonly region: string; readonly at: Instant }>();
  #context: FleetContext = {
    tests: deriveTests({ backends: 1, falseAlarmsPerMonth: 1 }),
    times: healthTimes,
    pools: [],
    withCanary: new Set(),
  };
  #fleet: FleetHealth = emptyFleet;
  /** Proxies came or went since the probers were chosen. */
  #isCrewNew = true;
  #tickedAt: Instant | undefined;
  /** Verdicts that were taken over since the last tick: told with it. */
  readonly #resumed: VerdictChange[] = [];

  constructor(recall: Recall = () => undefined) {
    this.#recall = recall;
  }

  get tests(): HealthTests {
    return this.#context.tests;
  }

  /** A policy came into force. What was learned of backends that stay is kept. */
  arrange(policy: Policy): void {
    const wanted = new Map(policy.backends.map((each) => [each.name, each]));
    for (const [name, entry] of this.#entries) {
      if (wanted.get(name)?.region !== entry.region) this.#entries.delete(name);
    }
    for (const { name, region } of policy.backends) {
      if (!this.#entries.has(name)) this.#entries.set(name, newEntry(region));
    }
    this.#isCrewNew = true;
    const falseAlarms = policy.health?.falseAlarmsPerMonth ?? 0;
    this.#context = {
      tests: deriveTests({
        backends: Math.max(1, policy.backends.length),
        falseAlarmsPerMonth: falseAlarms > 0 ? falseAlarms : 1,
      }),
      times: healthTimes,
      pools: poolsOf(policy.backends),
      withCanary: new Set(
        policy.backends.flatMap((each) => (each.probe?.canary === undefined ? [] : [each.name])),
      ),
    };
  }

  /** Adds one second of one proxy. Backends of other regions than the proxy's are none of its business. */
  take(reporter: Reporter, evidence: readonly BackendEvidence[], now: Instant): void {
    if (!this.#hear(reporter, now)) return;
    for (const each of evidence) {
      const entry = this.#entries.get(each.name);
      if (entry === undefined || entry.region !== reporter.region) continue;
      if (entry.heardAt <= now - regionHealthLimits.judgeMs) this.#resume(each.name, entry, now);
      entry.counts = addCounts(entry.counts, countsOf(each));
      entry.heardAt = now;
      if (each.ejected) entry.ejectedBy.set(reporter.id, now);
      else entry.ejectedBy.delete(reporter.id);
      if (each.canaryTokensPerDay > 0) {
        entry.tokensPerDay.set(reporter.id, each.canaryTokensPerDay);
      } else entry.tokensPerDay.delete(reporter.id);
      if (entry.vector.length === 0) {
        entry.vector = each.canaryVector.slice(0, regionHealthLimits.vectorMax);
      }
    }
  }

  /** Judges once; returns the verdicts that changed. */
  tick(now: Instant): readonly VerdictChange[] {
    this.#forgetSilent(now);
    if (this.#isCrewNew) this.#chooseProbers();
    const counts = new Map<string, HealthCounts>();
    for (const [name, entry] of this.#entries) {
      counts.set(name, { ...entry.counts, ejectedBy: this.#ejectedBy(name, entry, now) });
      entry.counts = noCounts;
    }
    const tickMs = this.#tickedAt === undefined ? regionHealthLimits.tickMs : now - this.#tickedAt;
    this.#tickedAt = now;
    this.#fleet = tickFleet(this.#fleet, counts, this.#context, {
      now,
      tickMs: Math.max(1, tickMs),
    });
    const changes = [...this.#entries].flatMap(([name, entry]) =>
      this.#noteChange(name, entry, now),
    );
    return [...this.#resumed.splice(0), ...changes];
  }

  /** undefined: not in the policy, or nobody has reported on it lately. */
  backend(name: string, now: Instant): JudgedBackend | undefined {
    const entry = this.#entries.get(name);
    const health = this.#fleet.backends.get(name)?.health;
    if (entry === undefined || health === undefined) return undefined;
    if (entry.heardAt <= now - regionHealthLimits.judgeMs) return undefined;
    return {
      name,
      region: entry.region,
      verdict: verdictOf(health, healthTimes, now),
      share: shareOf(health, healthTimes, now),
      isProving: health.phase === "proving",
      freezesBaseline: freezesBaseline(health, this.#context, now),
      probers: entry.probers,
      canaryVector: entry.vector,
      canaryTokensPerDay: [...entry.tokensPerDay.values()].reduce((sum, each) => sum + each, 0),
      health,
      heardAt: entry.heardAt,
    };
  }

  /** Newest first. */
  history(name: string): readonly VerdictChange[] {
    return [...(this.#entries.get(name)?.history ?? [])].reverse();
  }

  /**
   * Proxies report on a backend that nobody has reported on here for a while: after a restart, or as they have changed
   * over from another control plane. What was told of it last holds on: a bad one must prove itself still.
   */
  #resume(name: string, entry: Entry, now: Instant): void {
    const notes = this.#recall(entry.region);
    if (notes === undefined) return;
    const note = notes.find((each) => each.backend === name);
    const health = recallHealth(note, this.#context.tests, now);
    this.#fleet = withHealth(this.#fleet, name, health);
    this.#resumed.push(...this.#noteChange(name, entry, now));
  }

  /** Whether proxies of the backend's region report here at all. */
  #hear(reporter: Reporter, now: Instant): boolean {
    const { reportersMax } = regionHealthLimits;
    if (this.#reporters.get(reporter.id)?.region !== reporter.region) {
      if (this.#reporters.size >= reportersMax) return false;
      this.#isCrewNew = true;
    }
    this.#reporters.set(reporter.id, { region: reporter.region, at: now });
    return true;
  }

  #forgetSilent(now: Instant): void {
    for (const [id, { at }] of this.#reporters) {
      if (at > now - regionHealthLimits.freshMs) continue;
      this.#reporters.delete(id);
      this.#isCrewNew = true;
      for (const entry of this.#entries.values()) {
        entry.ejectedBy.delete(id);
        entry.tokensPerDay.delete(id);
      }
    }
  }

  #ejectedBy(name: string, entry: Entry, now: Instant): number {
    const health = this.#fleet.backends.get(name)?.health;
    const isFresh =
      health?.phase === "returning" && now - health.since <= regionHealthLimits.returnGraceMs;
    return isFresh ? 0 : entry.ejectedBy.size;
  }

  #noteChange(name: string, entry: Entry, now: Instant): readonly VerdictChange[] {
    const health = this.#fleet.backends.get(name)?.health;
    if (health === undefined) return [];
    const verdict = verdictOf(health, healthTimes, now);
    if (verdict === entry.verdict) return [];
    const isClear = verdict === "healthy" && entry.heardAt > now - regionHealthLimits.judgeMs;
    const reason = isClear ? "good events have spoken for it" : health.reason;
    entry.verdict = verdict;
    const change = { at: now, name, verdict, reason };
    entry.history.push(change);
    if (entry.history.length > regionHealthLimits.historyMax) entry.history.shift();
    return [change];
  }

  #chooseProbers(): void {
    this.#isCrewNew = false;
    const crews = new Map<string, string[]>();
    for (const [id, { region }] of this.#reporters) {
      const crew = crews.get(region) ?? [];
      crews.set(region, crew);
      crew.push(id);
    }
    for (const [name, entry] of this.#entries) {
      entry.probers = chooseProbers(name, crews.get(entry.region) ?? []);
    }
  }
}

function newEntry(region: string): Entry {
  return {
    region,
    counts: noCounts,
    ejectedBy: new Map(),
    tokensPerDay: new Map(),
    probers: [],
    heardAt: never,
    vector: [],
    verdict: "healthy",
    reason: "",
    history: [],
  };
}

function countsOf(each: BackendEvidence): HealthCounts {
  return {
    requests: each.succeeded + each.failed,
    failed: each.failed,
    connectFailed: Math.min(each.failed, each.connectFailed),
    timed: each.timed,
    slow: Math.min(each.timed, each.slow),
    probes: each.probes,
    probesFailed: Math.min(each.probes, each.probesFailed),
    canaries: each.canaries,
    canariesWrong: Math.min(each.canaries, each.canariesWrong),
    ejectedBy: 0,
  };
}

/** One region's backends of one model. */
function poolsOf(backends: readonly Backend[]): readonly (readonly string[])[] {
  const pools = new Map<string, Set<string>>();
  for (const { name, region, serves } of backends) {
    for (const { model } of serves) {
      const key = `${region}\n${model}`;
      const pool = pools.get(key) ?? new Set();
      pools.set(key, pool.add(name));
    }
  }
  return [...pools.values()].map((each) => [...each]);
}
