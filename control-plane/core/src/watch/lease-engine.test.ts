import { seededRandom } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type LeaseCommand, LeaseEngine, type LeaseInput } from "./lease-engine.ts";

const ttlMs = 15_000;

function engineAt(sentAt: number, ttl = ttlMs): LeaseEngine {
  const random = seededRandom("lease");
  return new LeaseEngine({
    ttlMs: ttl,
    sentAt,
    electionTimeoutMs: 2_000,
    endpoints: 3,
    random,
  });
}

/** What the network does to one keepalive; undefined loses it. */
type Fate = { readonly thereMs: number | undefined; readonly backMs: number | undefined };

/** A lease on a server that lets it go when its time is over, and a network between. */
class Play {
  now = 0;
  lost: string | undefined;
  readonly engine: LeaseEngine;
  #expiresAt: number;
  readonly #fates: readonly Fate[];
  #sent = 0;
  readonly #due: { readonly at: number; readonly run: () => void }[] = [];

  constructor(grantMs: number, fates: readonly Fate[]) {
    this.#fates = fates;
    this.#expiresAt = grantMs / 2 + ttlMs;
    this.engine = engineAt(0);
    this.now = grantMs;
    this.#step({ kind: "start" });
  }

  get aliveOnServer(): boolean {
    return this.now < this.#expiresAt;
  }

  /** The next thing that happens, after `lateMs` more: a shell's timer may be late. */
  advance(lateMs: number): void {
    const due = this.#due.sort((a, b) => a.at - b.at)[0];
    const wakeAt = this.engine.wakeAt ?? Number.POSITIVE_INFINITY;
    if (due !== undefined && due.at <= wakeAt + lateMs) {
      this.#due.shift();
      this.now = Math.max(this.now, due.at);
      due.run();
    } else if (wakeAt < Number.POSITIVE_INFINITY) {
      this.now = Math.max(this.now, wakeAt + lateMs);
      this.#step({ kind: "tick" });
    }
  }

  #step(input: LeaseInput): void {
    for (const command of this.engine.step(input, this.now)) this.#carryOut(command);
  }

  #carryOut(command: LeaseCommand): void {
    if (command.kind === "lost") this.lost = command.reason;
    if (command.kind !== "keepalive") return;
    const fate = this.#fates[this.#sent++];
    if (fate?.thereMs === undefined) return;
    const { stream } = command;
    this.#after(fate.thereMs, () => {
      const alive = this.aliveOnServer;
      if (alive) this.#expiresAt = this.now + ttlMs;
      const answer = { kind: "acked", stream, ttlMs: alive ? ttlMs : 0 } as const;
      if (fate.backMs !== undefined) this.#after(fate.backMs, () => this.#step(answer));
    });
  }

  #after(ms: number, run: () => void): void {
    this.#due.push({ at: this.now + ms, run });
  }
}

const delay = fc.option(fc.integer({ min: 0, max: 9_000 }), { nil: undefined, freq: 4 });
const fate = fc.record({ thereMs: delay, backMs: delay });

test("a lease is never believed when the store has let it go, whatever the network does", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3_000 }),
      fc.array(fate, { maxLength: 60, size: "max" }),
      fc.array(fc.nat(3_000), { minLength: 100, maxLength: 100 }),
      (grantMs, fates, lates) => {
        const play = new Play(grantMs, fates);
        for (const late of lates) {
          play.advance(late);
          if (play.engine.isHeld(play.now)) expect(play.aliveOnServer).toBe(true);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

test("with a network that works it is kept for good", () => {
  const play = new Play(
    80,
    Array.from({ length: 500 }, () => ({ thereMs: 80, backMs: 80 })),
  );
  while (play.now < 600_000) play.advance(20);
  expect(play.lost).toBeUndefined();
  expect(play.engine.isHeld(play.now)).toBe(true);
});

test("one lost answer in two does not lose it", () => {
  const fates = Array.from({ length: 500 }, (_, index) => ({
    thereMs: 80,
    backMs: index % 2 === 0 ? undefined : 80,
  }));
  const play = new Play(80, fates);
  while (play.now < 600_000) play.advance(20);
  expect(play.lost).toBeUndefined();
});

test("isolated, it is lost before the store lets it go, and told once", () => {
  const engine = engineAt(0);
  const lost: number[] = [];
  engine.step({ kind: "start" }, 100);
  for (let now = 100; now < 40_000; now += 50) {
    for (const command of engine.step({ kind: "tick" }, now)) {
      if (command.kind === "lost") lost.push(now);
    }
  }
  expect(lost).toEqual([13_000]);
});

test("a keepalive that is not answered goes to another member", () => {
  const engine = engineAt(0);
  const opened: number[] = [];
  for (let now = 0; now < 12_000; now += 50) {
    for (const command of engine.step({ kind: "tick" }, now)) {
      if (command.kind === "open") opened.push(command.endpoint);
    }
  }
  expect(opened).toEqual([0, 1, 2]);
});

test("an answer on a stream that was given up, or after the deadline, revives nothing", () => {
  const engine = engineAt(0);
  engine.step({ kind: "tick" }, 5_000);
  engine.step({ kind: "failed", stream: 0, message: "cut" }, 5_100);
  expect(engine.step({ kind: "acked", stream: 0, ttlMs }, 5_200)).toEqual([]);
  expect(engine.isHeld(13_000)).toBe(false);
  const late = engine.step({ kind: "acked", stream: 1, ttlMs }, 13_500);
  expect(late.map((each) => each.kind)).toEqual(["lost", "revoke"]);
  expect(engine.isHeld(13_500)).toBe(false);
});

test("a release ends it without a loss, and revokes it", () => {
  const engine = engineAt(0);
  expect(engine.step({ kind: "release" }, 10).map((each) => each.kind)).toEqual(["revoke"]);
  expect(engine.wakeAt).toBeUndefined();
  expect(engine.isHeld(20)).toBe(false);
});

test("the shortest lease leaves two thirds of itself to act in, whatever the election timeout", () => {
  const engine = engineAt(0, 3_000);
  expect(engine.isHeld(1_999)).toBe(true);
  expect(engine.isHeld(2_000)).toBe(false);
});
