import type { Random } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import type {
  AttemptCommand,
  AttemptEnd,
  AttemptEvent,
  AttemptPorts,
  Budgets,
  CallBudget,
  Candidate,
} from "./attempt.ts";
import { AttemptMachine } from "./attempt-machine.ts";
import { type FailureKind, upstreamFailure } from "./failure.ts";

const budgets: Budgets = {
  connectMs: 100,
  headersMs: 1_000,
  slowMs: 99_999,
  firstTokenMs: 1_000,
  betweenTokensMs: 500,
  totalMs: 10_000,
  attempts: 3,
  hedges: false,
  continues: false,
};

/** Back-offs of this one are over at once. */
const noWait: Random = { next: () => 0, integer: () => 0, fork: () => noWait };

function candidate(slot: number, kind: Candidate["kind"] = "backend"): Candidate {
  return {
    kind,
    slot,
    name: `c${slot}`,
    region: kind === "peer" ? `r${slot}` : "own",
    origin: "http://x",
    protocol: "openai",
    model: "m",
    upstreamModel: undefined,
    assistantPrefix: kind === "peer" || slot % 2 === 1 ? "append" : "none",
  };
}

function canContinue(each: Candidate): boolean {
  return each.assistantPrefix !== "none";
}

type Fake = AttemptPorts & {
  readonly ends: AttemptEnd[];
  readonly slowOnes: number[];
  readonly waits: [slot: number, ms: number][];
  readonly spent: CallBudget[];
  live: number;
  liveMost: number;
  /** Calls that each budget still pays for. */
  readonly purse: { retry: number; hedge: number };
  hedgeMs: number;
};

function ports(candidates: readonly Candidate[]): Fake {
  const fake: Fake = {
    ends: [],
    slowOnes: [],
    waits: [],
    spent: [],
    live: 0,
    liveMost: 0,
    purse: { retry: 100, hedge: 100 },
    hedgeMs: 200,
    next: ({ excluded, role, callsLeft }) => {
      expect(callsLeft).toBeGreaterThan(0);
      const able = role === "continuation" ? candidates.filter(canContinue) : candidates;
      const found = able.find((each) => !excluded.includes(each.slot));
      return found === undefined
        ? { candidate: undefined, reason: "nobody", retryAfterMs: 700 }
        : { candidate: found, reason: "first", considered: { names: [], scores: [] } };
    },
    started: () => {
      fake.live += 1;
      fake.liveMost = Math.max(fake.liveMost, fake.live);
    },
    slow: ({ slot }) => {
      fake.slowOnes.push(slot);
    },
    waited: ({ slot }, ms) => {
      fake.waits.push([slot, ms]);
    },
    hedgeDelayMs: () => fake.hedgeMs,
    spend: (budget) => {
      if (fake.purse[budget] <= 0) return false;
      fake.purse[budget] -= 1;
      fake.spent.push(budget);
      return true;
    },
    ended: (end) => {
      fake.live -= 1;
      fake.ends.push(end);
    },
  };
  return fake;
}

function machine(
  count: number,
  given: Partial<Budgets> = {},
): { machine: AttemptMachine; fake: Fake } {
  const fake = ports(Array.from({ length: count }, (_, slot) => candidate(slot)));
  return { machine: new AttemptMachine(fake, { ...budgets, ...given }, noWait), fake };
}

function failed(attempt: number, kind: FailureKind = "connect"): AttemptEvent {
  return { kind: "failed", attempt, failure: upstreamFailure(kind, "x") };
}

function kinds(commands: readonly AttemptCommand[]): readonly string[] {
  return commands.map((each) => {
    if (each.kind === "finish") return `finish ${each.ending.kind}`;
    return `${each.kind} ${each.attempt}`;
  });
}

test("a failure before the commit calls another candidate, and the last one refuses", () => {
  const { machine: attempts, fake } = machine(2);
  expect(kinds(attempts.step({ kind: "start" }, 0))).toEqual(["call 1"]);
  expect(kinds(attempts.step(failed(1), 1))).toEqual(["call 2"]);
  expect(kinds(attempts.step(failed(2, "status"), 2))).toEqual(["finish refused"]);
  expect(attempts.records().map((each) => each.candidate.slot)).toEqual([0, 1]);
  expect(fake.ends.map((each) => each.failure?.kind)).toEqual(["connect", "status"]);
});

test("the first token commits; from then on a failure breaks the stream", () => {
  const { machine: attempts } = machine(3);
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step({ kind: "token", attempt: 1, continuable: false }, 5))).toEqual([
    "commit 1",
  ]);
  expect(attempts.step({ kind: "token", attempt: 1, continuable: false }, 6)).toEqual([]);
  expect(kinds(attempts.step(failed(1, "reset"), 7))).toEqual(["finish broken"]);
  expect(attempts.step(failed(1, "reset"), 8)).toEqual([]);
});

test("a complete answer that was never committed is committed and finished at once", () => {
  const { machine: attempts } = machine(1);
  attempts.step({ kind: "start" }, 0);
  const commands = attempts.step({ kind: "complete", attempt: 1 }, 5);
  expect(kinds(commands)).toEqual(["commit 1", "finish complete"]);
});

test("news of a call that is over is ignored", () => {
  const { machine: attempts } = machine(3);
  attempts.step({ kind: "start" }, 0);
  attempts.step(failed(1), 1);
  expect(attempts.step({ kind: "token", attempt: 1, continuable: false }, 2)).toEqual([]);
  expect(attempts.committed()).toBe(false);
});

test("no connection in time moves on", () => {
  const { machine: attempts, fake } = machine(2);
  attempts.step({ kind: "start" }, 0);
  expect(attempts.wakeAt()).toBe(100);
  expect(kinds(attempts.step({ kind: "tick" }, 100))).toEqual(["cancel 1", "call 2"]);
  expect(fake.ends[0]?.failure?.kind).toBe("connect-timeout");
});

test("the last candidate is waited for, to connect and to answer", () => {
  const { machine: attempts } = machine(1);
  attempts.step({ kind: "start" }, 0);
  expect(attempts.step({ kind: "tick" }, 100)).toEqual([]);
  expect(attempts.wakeAt()).toBe(1_000);
  attempts.step({ kind: "connected", attempt: 1 }, 150);
  expect(attempts.step({ kind: "tick" }, 1_000)).toEqual([]);
  expect(kinds(attempts.step({ kind: "token", attempt: 1, continuable: false }, 5_000))).toEqual([
    "commit 1",
  ]);
});

test("signs of life do not put off the first token's deadline, but the deadline between tokens", () => {
  const { machine: attempts } = machine(2);
  attempts.step({ kind: "start" }, 0);
  attempts.step({ kind: "connected", attempt: 1 }, 10);
  attempts.step({ kind: "headers", attempt: 1 }, 20);
  attempts.step({ kind: "activity", attempt: 1 }, 900);
  expect(attempts.wakeAt()).toBe(1_000);
  attempts.step({ kind: "token", attempt: 1, continuable: false }, 950);
  expect(attempts.wakeAt()).toBe(1_450);
  attempts.step({ kind: "activity", attempt: 1 }, 1_400);
  expect(attempts.step({ kind: "tick" }, 1_450)).toEqual([]);
  expect(kinds(attempts.step({ kind: "tick" }, 1_900))).toEqual(["cancel 1", "finish broken"]);
});

test("a slow first token moves on while there is another candidate, and never cuts the last one", () => {
  const { machine: attempts } = machine(2);
  attempts.step({ kind: "start" }, 0);
  attempts.step({ kind: "connected", attempt: 1 }, 1);
  expect(kinds(attempts.step({ kind: "tick" }, 1_000))).toEqual(["cancel 1", "call 2"]);
  attempts.step({ kind: "connected", attempt: 2 }, 1_001);
  expect(attempts.step({ kind: "tick" }, 2_000)).toEqual([]);
  expect(attempts.wakeAt()).toBe(10_000);
  expect(kinds(attempts.step({ kind: "token", attempt: 2, continuable: false }, 9_000))).toEqual([
    "commit 2",
  ]);
});

test("the attempts that are allowed are a limit on calls, whatever candidates are left", () => {
  const { machine: attempts } = machine(9, { attempts: 2 });
  attempts.step({ kind: "start" }, 0);
  attempts.step(failed(1), 1);
  expect(kinds(attempts.step(failed(2), 2))).toEqual(["finish refused"]);
});

test("a region that took nothing costs no attempt", () => {
  const regions = [candidate(0), candidate(1, "peer"), candidate(2, "peer"), candidate(3, "peer")];
  const attempts = new AttemptMachine(ports(regions), { ...budgets, attempts: 2 }, noWait);
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step(failed(1), 1))).toEqual(["call 2"]);
  expect(kinds(attempts.step(failed(2, "region-refused"), 2))).toEqual(["call 3"]);
  expect(kinds(attempts.step(failed(3, "connect"), 3))).toEqual(["call 4"]);
  expect(kinds(attempts.step(failed(4, "status"), 4))).toEqual(["finish refused"]);
});

test("the end of the time for the request refuses before the commit and breaks after it", () => {
  for (const [commits, ending] of [
    [false, "finish refused"],
    [true, "finish broken"],
  ] as const) {
    const { machine: attempts } = machine(3, { betweenTokensMs: 99_999 });
    attempts.step({ kind: "start" }, 0);
    attempts.step({ kind: "connected", attempt: 1 }, 0);
    if (commits) attempts.step({ kind: "token", attempt: 1, continuable: false }, 1);
    expect(kinds(attempts.step({ kind: "tick" }, 10_000))).toEqual(["cancel 1", ending]);
  }
});

test("a client that leaves cancels the call and says nothing against its target", () => {
  const { machine: attempts, fake } = machine(2);
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step({ kind: "client-gone" }, 1))).toEqual([
    "cancel 1",
    "finish client-gone",
  ]);
  expect(fake.ends).toMatchObject([{ outcome: "cancelled", failure: undefined }]);
});

test("the upstream's refusal of the request is final", () => {
  const { machine: attempts, fake } = machine(2);
  attempts.step({ kind: "start" }, 0);
  expect(kinds(attempts.step({ kind: "rejected", attempt: 1 }, 1))).toEqual(["finish rejected"]);
  expect(fake.ends).toMatchObject([{ outcome: "rejected" }]);
});

const attempt = fc.integer({ min: 1, max: 6 });
const anyEvent: fc.Arbitrary<AttemptEvent> = fc.oneof(
  fc.constant<AttemptEvent>({ kind: "start" }),
  fc.constant<AttemptEvent>({ kind: "tick" }),
  fc.constant<AttemptEvent>({ kind: "client-gone" }),
  fc
    .tuple(fc.constantFrom("connected", "headers", "activity", "complete", "rejected"), attempt)
    .map(([kind, number]): AttemptEvent => ({ kind, attempt: number })),
  fc
    .tuple(attempt, fc.boolean())
    .map(
      ([number, continuable]): AttemptEvent => ({ kind: "token", attempt: number, continuable }),
    ),
  fc
    .tuple(fc.constantFrom<FailureKind>("connect", "reset", "region-refused", "saturated"), attempt)
    .map(([kind, number]) => failed(number, kind)),
);

test("any events: one commit at most, attempts bounded, one hop, every call ended, and an end", () => {
  const script = fc.array(fc.tuple(anyEvent, fc.nat(2_000)), { maxLength: 60 });
  const world = fc.array(fc.constantFrom<Candidate["kind"]>("backend", "peer"), { maxLength: 8 });
  fc.assert(
    fc.property(script, world, fc.integer({ min: 1, max: 5 }), (events, given, allowed) => {
      const fake = ports(given.map((kind, slot) => candidate(slot, kind)));
      const attempts = new AttemptMachine(fake, { ...budgets, attempts: allowed }, noWait);
      const commands: AttemptCommand[] = [];
      let now = 0;
      const step = (event: AttemptEvent): void => {
        commands.push(...attempts.step(event, now));
      };
      step({ kind: "start" });
      for (const [event, ms] of events) {
        now += ms;
        step(event);
      }
      // Whatever came before, time alone brings the end.
      for (let tick = 0; tick < 50 && !attempts.finished(); tick++) {
        expect(attempts.wakeAt()).toBeLessThan(Number.POSITIVE_INFINITY);
        now = Math.max(now, attempts.wakeAt());
        step({ kind: "tick" });
      }
      const of = (kind: AttemptCommand["kind"]): number =>
        commands.filter((each) => each.kind === kind).length;
      expect(of("finish")).toBe(1);
      expect(commands.at(-1)?.kind).toBe("finish");
      expect(of("commit")).toBeLessThanOrEqual(1);
      const slots = attempts.records().map((each) => each.candidate.slot);
      expect(new Set(slots).size).toBe(slots.length);
      const peers = attempts.records().filter((each) => each.candidate.kind === "peer").length;
      expect(slots.length - peers).toBeLessThanOrEqual(allowed);
      expect(peers).toBeLessThanOrEqual(given.filter((each) => each === "peer").length);
      expect(fake.live).toBe(0);
      expect(fake.ends).toHaveLength(slots.length);
    }),
    { numRuns: 1_000 },
  );
});

test("while the client does not read, no token is awaited; the total still binds", () => {
  const { machine: made } = machine(1);
  made.step({ kind: "start" }, 0);
  made.step({ kind: "connected", attempt: 1 }, 10);
  made.step({ kind: "token", attempt: 1, continuable: false }, 20);
  made.step({ kind: "paused", attempt: 1 }, 30);
  // What was under way already comes in all the same.
  made.step({ kind: "token", attempt: 1, continuable: false }, 40);
  expect(made.wakeAt()).toBe(budgets.totalMs);
  expect(made.step({ kind: "tick" }, 5_000)).toEqual([]);
  made.step({ kind: "resumed", attempt: 1 }, 6_000);
  expect(made.wakeAt()).toBe(6_000 + budgets.betweenTokensMs);
  made.step({ kind: "paused", attempt: 1 }, 6_100);
  expect(kinds(made.step({ kind: "tick" }, budgets.totalMs))).toEqual([
    "cancel 1",
    "finish broken",
  ]);
});
