// One proxy in virtual time: the real fast path, the real choice among a pool's backends, and the real lane of reports.

import type { BackendEvidence } from "@meridian/control-core/health";
import { findPicker, PickMemory, Shortlist } from "@meridian/data-core/balance";
import { PassiveHealth, type ToldVerdict } from "@meridian/data-core/health";
import { createReportLane, isPressing } from "@meridian/data-core/sync";
import type { Instant, Random } from "@meridian/proto/base";
import { longerThanUsual } from "./detection.ts";

/** What becomes of what a backend is asked. */
export type Trouble = {
  /** Share of its requests that fail. */
  readonly failing?: number;
  /** It is gone: whatever it is asked fails at once, probes too. */
  readonly isGone?: boolean;
  /** First tokens so many times as slow. */
  readonly slower?: number;
};

type Counts = { -readonly [K in keyof BackendEvidence]: BackendEvidence[K] };

type Backend = {
  /** Since the last report. */
  counts: Counts;
  /** As it was last reported. */
  wasEjected: boolean;
  /** When each answer under way ends. */
  answering: Instant[];
};

const picker = findPicker("least-outstanding");

/** What an answer takes, in ms and in tokens with its prompt. */
const answerMs = 150;
const requestTokens = 260;
/** Share of the requests whose first token is timed. */
const streamed = 0.5;
const probeMs = 1_000;
/** The lane of reports is asked so often, as in the proxy. */
const laneMs = 100;

export class TrialProxy {
  readonly id: string;
  readonly #random: Random;
  readonly #health: PassiveHealth;
  readonly #lane;
  readonly #backends: readonly Backend[];
  readonly #list: Shortlist;
  #probeAt: Instant;
  #laneAt: Instant;
  #ejectedAt: Instant = Number.POSITIVE_INFINITY;

  constructor(id: string, names: readonly string[], random: Random) {
    this.id = id;
    this.#random = random;
    this.#health = new PassiveHealth(random.fork("ejections"));
    this.#health.arrange([{ slots: names.map((_, slot) => slot), elsewhere: false }]);
    this.#list = new Shortlist(new PickMemory(names.length));
    this.#lane = createReportLane(random.fork("reports"));
    this.#backends = names.map((name) => ({
      counts: emptyCounts(name),
      wasEjected: false,
      answering: [],
    }));
    this.#probeAt = random.next() * probeMs;
    this.#laneAt = random.next() * probeMs;
    this.#lane.step({ kind: "ready" }, this.#laneAt);
  }

  /** When it first ejected the first backend; Infinity: it did not. */
  get ejectedAt(): Instant {
    return this.#ejectedAt;
  }

  /** The control plane's word. */
  judge(slot: number, told: ToldVerdict | undefined, now: Instant): void {
    this.#health.judge(slot, told, now);
  }

  /** One request of a client; another backend is asked when the first one fails. */
  request(troubleOf: (slot: number) => Trouble, now: Instant): void {
    const isTimed = this.#random.next() < streamed;
    const left = new Set(this.#backends.keys());
    for (let slot = this.#choose(left, now); slot !== undefined; slot = this.#choose(left, now)) {
      left.delete(slot);
      if (this.#ask(slot, { trouble: troubleOf(slot), isTimed, now })) return;
    }
  }

  /** Each second; every proxy of the trial is a prober. */
  probe(troubleOf: (slot: number) => Trouble, now: Instant): void {
    if (now < this.#probeAt) return;
    this.#probeAt += probeMs;
    for (const [slot, { counts }] of this.#backends.entries()) {
      counts.probes += 1;
      if (troubleOf(slot).isGone === true) counts.probesFailed += 1;
    }
  }

  /** undefined: no report goes now. */
  report(now: Instant): readonly BackendEvidence[] | undefined {
    if (now < this.#laneAt) return undefined;
    this.#laneAt += laneMs;
    const isPressingNow = (): boolean => this.#isPressing(now);
    const command = this.#lane.step({ kind: "time", isPressing: isPressingNow }, now);
    if (command.kind !== "report") return undefined;
    this.#lane.step({ kind: "acknowledged", sequence: command.sequence }, now);
    return this.#backends.map((each, slot) => {
      const ejected = this.#isEjected(slot, now);
      const evidence = { ...each.counts, ejected };
      each.counts = emptyCounts(evidence.name);
      each.wasEjected = ejected;
      return evidence;
    });
  }

  #isPressing(now: Instant): boolean {
    return this.#backends.some(({ counts, wasEjected }, slot) =>
      isPressing(
        { succeeded: 0, failed: 0, ejected: wasEjected },
        { ...counts, ejected: this.#isEjected(slot, now) },
      ),
    );
  }

  #isEjected(slot: number, now: Instant): boolean {
    const standing = this.#health.standing(slot, now);
    return standing === "ejected" || standing === "trial" || standing === "trial-running";
  }

  #choose(left: ReadonlySet<number>, now: Instant): number | undefined {
    const list = this.#list;
    list.clear({ tokens: requestTokens, promptTokens: requestTokens });
    for (const slot of left) {
      const inFlight = this.#backends[slot]?.answering.filter((endsAt) => endsAt > now).length ?? 0;
      const entry = list.add(slot, slot);
      list.weights[entry] = this.#health.share(slot, now);
      list.inFlight[entry] = inFlight;
      list.pending[entry] = inFlight * requestTokens;
    }
    const entry = picker.pick(list, this.#random);
    return entry < 0 ? undefined : list.slots[entry];
  }

  /** false: it failed. */
  #ask(
    slot: number,
    of: { readonly trouble: Trouble; readonly isTimed: boolean; readonly now: Instant },
  ): boolean {
    const { trouble, isTimed, now } = of;
    const backend = this.#backends[slot];
    if (backend === undefined) return false;
    const { counts } = backend;
    const isGone = trouble.isGone === true;
    const fails = isGone || this.#random.next() < (trouble.failing ?? 0);
    const evidence = isGone ? "connect-failure" : fails ? "failure" : "success";
    this.#health.started(slot, now);
    const change = this.#health.ended({ slot, evidence, startedAt: now }, now);
    if (change?.kind === "ejected" && slot === 0) this.#ejectedAt = Math.min(this.#ejectedAt, now);
    if (fails) {
      counts.failed += 1;
      if (isGone) counts.connectFailed += 1;
      return false;
    }
    counts.succeeded += 1;
    backend.answering = [...backend.answering.filter((endsAt) => endsAt > now), now + answerMs];
    if (!isTimed) return true;
    counts.timed += 1;
    if (longerThanUsual(this.#random, trouble.slower ?? 1)) counts.slow += 1;
    return true;
  }
}

function emptyCounts(name: string): Counts {
  return {
    name,
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
    canaryMark: 0,
  };
}
