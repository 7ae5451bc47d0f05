// What this proxy finds out about its region's backends by itself: it probes those that it is to probe, and judges all of
// them each second. Its verdicts are followed where no control plane speaks; in the main thread, for all threads.

import { type EngineReport, isAlone, type TargetReport } from "@meridian/data-core/engine";
import { judgeTickMs, OwnJudge, type ToldVerdict } from "@meridian/data-core/health";
import type { Clock, Random } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { HealthCounts } from "@meridian/proto/health";
import { type RegionView, readSnapshot } from "@meridian/proto/snapshot";
import type { Logger } from "pino";
import { type ProbeCounts, Prober, type ProbeStanding } from "../probe/prober.ts";
import { type Seen, since } from "./health-counts.ts";
import { ProbeLog } from "./probe-log.ts";

export type OwnHealthOptions = {
  /** This proxy's id: the control plane names probers by it. */
  readonly id: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Pick<Logger, "debug" | "info" | "warn">;
  readonly listeners: {
    readonly report: () => EngineReport;
    readonly judge: (verdicts: ReadonlyMap<string, ToldVerdict>) => void;
  };
};

/** Above so many requests a second the requests themselves tell enough: canaries are asked less often. */
const busyPerSecond = 1;
/** Share of the newest second in the rate. */
const rateGain = 0.2;

/**
 * @example
 * const health = new OwnHealth({ id, clock, random, logger, listeners });
 * health.arrange(snapshot); // whenever one came into force
 * await health.close();
 */
export class OwnHealth {
  readonly #options: OwnHealthOptions;
  readonly #prober: Prober;
  readonly #log: ProbeLog;
  readonly #judge = new OwnJudge();
  #weights: ReadonlyMap<string, number> = new Map();
  /** The judge's thresholds take some time, which a start does not have: they wait for the next tick. */
  #toArrange: RegionView | undefined;
  #seen: ReadonlyMap<string, Seen> = new Map();
  #rates: ReadonlyMap<string, number> = new Map();
  #verdicts: ReadonlyMap<string, ToldVerdict> = new Map();
  /** undefined: not known before the first tick. */
  #isAlone: boolean | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OwnHealthOptions) {
    this.#options = options;
    const { clock, logger, random } = options;
    this.#log = new ProbeLog(logger);
    this.#prober = new Prober({
      clock,
      random,
      standing: (backend) => this.#standing(backend),
      failed: (backend, kind, reason) => this.#log.failed(backend, kind, reason),
    });
  }

  /** A snapshot came into force. What was learned of backends that stay is kept. */
  arrange(snapshot: Snapshot): void {
    const view = readSnapshot(snapshot);
    // The engine has read it before.
    if (view.kind === "err") return;
    const { backends } = view.value;
    this.#weights = new Map(backends.map((each) => [each.name, each.weight]));
    this.#toArrange = view.value;
    this.#prober.arrange(
      backends.map(({ name, url, probe }) => ({ candidate: { name, origin: url }, probe })),
    );
    this.#timer ??= setInterval(() => this.#tick(), judgeTickMs).unref();
  }

  /** Of the backends, by the policy in force. */
  get weights(): ReadonlyMap<string, number> {
    return this.#weights;
  }

  /** What was counted of each backend that this proxy has probed. */
  probed(): ReadonlyMap<string, ProbeCounts> {
    const counted = [...this.#weights.keys()].map(
      (name) => [name, this.#prober.counts(name)] as const,
    );
    return new Map(counted.flatMap(([name, each]) => (each === undefined ? [] : [[name, each]])));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#prober.close();
  }

  #tick(): void {
    const { clock, listeners } = this.#options;
    if (this.#toArrange !== undefined) this.#judge.arrange(this.#toArrange);
    this.#toArrange = undefined;
    const report = listeners.report();
    const probed = this.probed();
    const before = this.#seen;
    const seen = new Map<string, Seen>();
    const counts = new Map<string, HealthCounts>();
    const rates = new Map<string, number>();
    for (const target of report.backends) {
      // The prober counts on in its own object.
      const probes = probed.get(target.name);
      const now = { target, probes: probes === undefined ? undefined : { ...probes } };
      seen.set(target.name, now);
      const each = since(before.get(target.name), now);
      counts.set(target.name, each);
      const rate = this.#rates.get(target.name) ?? 0;
      rates.set(target.name, rate + rateGain * (each.requests - rate));
      this.#log.ticked(target.name, each);
    }
    this.#seen = seen;
    this.#rates = rates;
    const heard = (backend: string) => seen.get(backend)?.target.heard;
    const verdicts = this.#judge.tick(counts, heard, clock.now());
    // Each second, whoever is followed: when the control plane's word ages there is one to take its place.
    listeners.judge(verdicts);
    this.#tell(verdicts, isAlone(report.stateAgeMs));
  }

  /** Who is not alone has a control plane that tells. */
  #tell(verdicts: ReadonlyMap<string, ToldVerdict>, alone: boolean): void {
    const { logger } = this.#options;
    if (this.#isAlone !== undefined && alone !== this.#isAlone) {
      logger.warn({ alone }, alone ? "judging backends alone" : "following verdicts again");
    }
    for (const [backend, { verdict }] of alone ? verdicts : []) {
      const before = this.#verdicts.get(backend)?.verdict ?? "healthy";
      if (verdict !== before) logger.warn({ backend, verdict, before }, "own verdict changed");
    }
    this.#isAlone = alone;
    this.#verdicts = alone ? verdicts : new Map();
  }

  #standing(backend: string): ProbeStanding {
    const target = this.#seen.get(backend)?.target;
    return {
      isMine: this.#isProber(target),
      need: this.#needOf(backend, target),
      reference: target?.canaryVector ?? [],
    };
  }

  /**
   * Where a backend has to prove itself to this proxy alone, nobody else's probes help. Before the first tick it is not
   * known who probes: a fleet that starts does not ask everybody's canaries.
   */
  #isProber(target: TargetReport | undefined): boolean {
    if (target === undefined) return false;
    if (target.probers.length === 0) return true;
    if (target.probers.includes(this.#options.id)) return true;
    return target.heard === undefined && target.told?.isProving === true;
  }

  #needOf(backend: string, target: TargetReport | undefined): ProbeStanding["need"] {
    if (target?.told?.isProving === true) return "proving";
    return (this.#rates.get(backend) ?? 0) > busyPerSecond ? "busy" : "usual";
  }
}
