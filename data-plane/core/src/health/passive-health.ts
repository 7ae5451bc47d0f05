// The fast path of one proxy: hard failures eject at once, for a while, within the pool's limit; one trial brings back.
// The control plane pools the evidence of all proxies and says more slowly, and more surely, what is so.

import { assertNever, type Instant, type Random } from "@meridian/proto/base";
import type { EndedCall, Health, HealthChange, HealthPool, Standing } from "./health.ts";
import type { ToldVerdict } from "./told-verdict.ts";

/** When hard failures eject, and for how long. */
export const ejection = {
  connectFailuresInRow: 5,
  burst: 3,
  burstMs: 300,
  quietMs: 1_000,
  /** Failures of any class in a row. At a base rate of 10 % a false alarm each 10^10 calls. */
  failuresInRow: 10,
  baseMs: 1_000,
  capMs: 30_000,
  /** So long without an ejection forgets one of them. */
  forgiveMs: 300_000,
  /** A verdict that is good for so long after an ejection overrules it: others have no trouble. */
  overruledMs: 4_000,
} as const;

/** Share of the requests that a target may have while it proves itself; never more than one at a time. */
const provingShare = 0.01;

/** What is known of one target. */
type Knowledge = {
  connectFailuresInRow: number;
  failuresInRow: number;
  /** Instants of the newest connect failures, oldest first, at most `burst`. */
  readonly connectFailures: Instant[];
  succeededAt: Instant;
  /** Undefined: not ejected. */
  ejectedUntil: Instant | undefined;
  ejectedAt: Instant;
  /** Ejections remembered, the exponent of the next one. */
  ejections: number;
  /** Start of the trial that is under way. */
  trialAt: Instant | undefined;
  told: ToldVerdict | undefined;
  /** Start of the request by which it proves itself now. */
  provingAt: Instant | undefined;
};

/** Health by this proxy's own evidence, and the control plane's verdicts. */
export class PassiveHealth implements Health {
  readonly #random: Random;
  readonly #bySlot: (Knowledge | undefined)[] = [];
  readonly #poolsOf = new Map<number, HealthPool[]>();

  constructor(random: Random) {
    this.#random = random;
  }

  share(slot: number, now: Instant): number {
    const known = this.#bySlot[slot];
    switch (this.standing(slot, now)) {
      case "healthy":
      case "degraded":
      case "trial":
        return known?.told?.share ?? 1;
      case "proving":
        return known?.provingAt === undefined && this.#random.next() < provingShare ? 1 : 0;
      default:
        return 0;
    }
  }

  standing(slot: number, now: Instant): Standing {
    const known = this.#bySlot[slot];
    if (known === undefined) return "healthy";
    const { told } = known;
    if (told?.verdict === "unhealthy") return told.isProving ? "proving" : "unhealthy";
    if (known.ejectedUntil !== undefined) {
      if (now < known.ejectedUntil) return "ejected";
      return known.trialAt === undefined ? "trial" : "trial-running";
    }
    return told?.verdict ?? "healthy";
  }

  isFrozen(slot: number): boolean {
    const known = this.#bySlot[slot];
    return known?.ejectedUntil !== undefined || known?.told?.freezesBaseline === true;
  }

  started(slot: number, now: Instant): void {
    const known = this.#bySlot[slot];
    if (known === undefined) return;
    if (known.told?.isProving === true) known.provingAt ??= now;
    if (known.ejectedUntil === undefined || known.trialAt !== undefined) return;
    if (now >= known.ejectedUntil) known.trialAt = now;
  }

  ended(call: EndedCall, now: Instant): HealthChange | undefined {
    const known = this.#know(call.slot);
    if (known.provingAt !== undefined && call.startedAt >= known.provingAt) {
      known.provingAt = undefined;
    }
    const isTrial = known.trialAt !== undefined && call.startedAt >= known.trialAt;
    if (isTrial) known.trialAt = undefined;
    if (call.evidence === "nothing") return undefined;
    if (call.evidence === "success") return succeed(known, call.slot, isTrial, now);
    noteFailure(known, call.evidence === "connect-failure", now);
    if (isTrial) return this.#eject(known, call.slot, "its trial failed", now);
    if (known.ejectedUntil !== undefined) return undefined;
    const reason = reasonToEject(known, now);
    if (reason === undefined) return undefined;
    if (!this.#mayEject(call.slot, reason.connectClass)) {
      return {
        kind: "kept",
        slot: call.slot,
        reason: `${reason.text}, but half of its pool is out`,
      };
    }
    return this.#eject(known, call.slot, reason.text, now);
  }

  judge(slot: number, told: ToldVerdict | undefined, now: Instant): void {
    if (told === undefined && this.#bySlot[slot] === undefined) return;
    const known = this.#know(slot);
    const wasOut = known.told?.verdict === "unhealthy";
    known.told = told;
    if (told === undefined || told.verdict === "unhealthy") return;
    // It has proved itself to the whole region: what this proxy held against it is out of date.
    if (wasOut) comeBack(known);
    const isOverruled = !told.isAgeing && now - known.ejectedAt >= ejection.overruledMs;
    if (known.ejectedUntil !== undefined && isOverruled) {
      known.ejectedUntil = Math.min(known.ejectedUntil, now);
    }
  }

  arrange(pools: readonly HealthPool[]): void {
    this.#poolsOf.clear();
    for (const pool of pools) {
      for (const slot of pool.slots) {
        const held = this.#poolsOf.get(slot);
        if (held === undefined) this.#poolsOf.set(slot, [pool]);
        else held.push(pool);
      }
    }
  }

  hear(change: HealthChange, now: Instant): void {
    const known = this.#know(change.slot);
    switch (change.kind) {
      case "ejected":
        this.#hearEjection(known, change, now);
        return;
      case "returned":
        succeed(known, change.slot, true, now);
        return;
      case "kept":
        return;
      default:
        assertNever(change);
    }
  }

  forget(slot: number): void {
    this.#bySlot[slot] = undefined;
  }

  #hearEjection(
    known: Knowledge,
    { forMs, slot }: Extract<HealthChange, { kind: "ejected" }>,
    now: Instant,
  ): void {
    // Two threads may eject two targets at the same moment: together they too leave half of a pool.
    if (known.ejectedUntil === undefined && !this.#mayEject(slot, true)) return;
    // Both may have ejected the same one: that is one ejection.
    if (known.ejectedUntil === undefined || now >= known.ejectedUntil) known.ejections += 1;
    known.ejectedAt = now;
    known.ejectedUntil = Math.max(known.ejectedUntil ?? now, now + forMs);
    known.trialAt = undefined;
  }

  #know(slot: number): Knowledge {
    const held = this.#bySlot[slot];
    if (held !== undefined) return held;
    const fresh = newKnowledge();
    this.#bySlot[slot] = fresh;
    return fresh;
  }

  /** At most half of each pool; connect-class failures may empty one that is not the last resort. */
  #mayEject(slot: number, connectClass: boolean): boolean {
    for (const pool of this.#poolsOf.get(slot) ?? []) {
      if (connectClass && pool.elsewhere) continue;
      const out = pool.slots.filter((each) => each !== slot && this.#isOut(each)).length;
      if (out + 1 > pool.slots.length / 2) return false;
    }
    return true;
  }

  /** Out until its trial has gone well: one on trial has proved nothing yet. */
  #isOut(slot: number): boolean {
    const known = this.#bySlot[slot];
    return known?.ejectedUntil !== undefined || known?.told?.verdict === "unhealthy";
  }

  #eject(known: Knowledge, slot: number, reason: string, now: Instant): HealthChange {
    if (now - known.ejectedAt > ejection.forgiveMs) {
      const forgiven = Math.floor((now - known.ejectedAt) / ejection.forgiveMs);
      known.ejections = Math.max(0, known.ejections - forgiven);
    }
    const limitMs = Math.min(ejection.capMs, ejection.baseMs * 2 ** Math.min(known.ejections, 10));
    // Jitter shortens only: proxies come back at different moments, and the cap stays the cap.
    const forMs = limitMs * (0.8 + 0.2 * this.#random.next());
    known.ejections += 1;
    known.ejectedAt = now;
    known.ejectedUntil = now + forMs;
    known.trialAt = undefined;
    return { kind: "ejected", slot, forMs, reason };
  }
}

function newKnowledge(): Knowledge {
  return {
    connectFailuresInRow: 0,
    failuresInRow: 0,
    connectFailures: [],
    succeededAt: Number.NEGATIVE_INFINITY,
    ejectedUntil: undefined,
    ejectedAt: Number.NEGATIVE_INFINITY,
    ejections: 0,
    trialAt: undefined,
    told: undefined,
    provingAt: undefined,
  };
}

function comeBack(known: Knowledge): void {
  known.ejectedUntil = undefined;
  known.trialAt = undefined;
  known.connectFailuresInRow = 0;
  known.failuresInRow = 0;
  known.connectFailures.length = 0;
}

/** Only a trial brings back: a success that began before the ejection is old news. */
function succeed(
  known: Knowledge,
  slot: number,
  isTrial: boolean,
  now: Instant,
): HealthChange | undefined {
  known.connectFailuresInRow = 0;
  known.failuresInRow = 0;
  known.connectFailures.length = 0;
  known.succeededAt = now;
  if (!isTrial || known.ejectedUntil === undefined) return undefined;
  known.ejectedUntil = undefined;
  return { kind: "returned", slot };
}

function noteFailure(known: Knowledge, connectClass: boolean, now: Instant): void {
  known.failuresInRow += 1;
  if (!connectClass) {
    known.connectFailuresInRow = 0;
    return;
  }
  known.connectFailuresInRow += 1;
  known.connectFailures.push(now);
  if (known.connectFailures.length > ejection.burst) known.connectFailures.shift();
}

function reasonToEject(
  known: Knowledge,
  now: Instant,
): { readonly text: string; readonly connectClass: boolean } | undefined {
  if (known.connectFailuresInRow >= ejection.connectFailuresInRow) {
    return { text: `${known.connectFailuresInRow} connect failures in a row`, connectClass: true };
  }
  const oldest = known.connectFailures[0];
  const isBurst =
    known.connectFailures.length >= ejection.burst &&
    oldest !== undefined &&
    now - oldest <= ejection.burstMs &&
    now - known.succeededAt >= ejection.quietMs;
  if (isBurst) {
    const text = `${ejection.burst} connect failures within ${ejection.burstMs} ms`;
    return { text, connectClass: true };
  }
  if (known.failuresInRow >= ejection.failuresInRow) {
    return { text: `${known.failuresInRow} failures in a row`, connectClass: false };
  }
  return undefined;
}
