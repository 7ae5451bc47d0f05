import { seededRandom } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { AttemptCommand, AttemptEvent, Budgets, Candidate } from "./attempt.ts";
import { AttemptMachine } from "./attempt-machine.ts";
import type { FailureKind } from "./failure.ts";
import { budgets, candidate, type Fake, failed, ports, token } from "./test-ports.ts";

/** Counted back from the newest call; aimed, or nearly everything would be news of calls that are over. */
const back = fc.constantFrom(0, 0, 0, 1, 1, 2);
const anyEvent: fc.Arbitrary<AttemptEvent> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<AttemptEvent>({ kind: "start" }) },
  { weight: 1, arbitrary: fc.constant<AttemptEvent>({ kind: "client-gone" }) },
  { weight: 15, arbitrary: fc.constant<AttemptEvent>({ kind: "tick" }) },
  { weight: 5, arbitrary: fc.constant<AttemptEvent>({ kind: "room" }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom("complete", "rejected"), back)
      .map(([kind, attempt]): AttemptEvent => ({ kind, attempt })),
  },
  {
    weight: 15,
    arbitrary: fc
      .tuple(fc.constantFrom("connected", "headers", "activity", "paused", "resumed"), back)
      .map(([kind, attempt]): AttemptEvent => ({ kind, attempt })),
  },
  {
    weight: 15,
    arbitrary: fc
      .tuple(back, fc.constantFrom(true, true, false))
      .map(([attempt, can]) => token(attempt, can)),
  },
  {
    weight: 15,
    arbitrary: fc
      .tuple(
        fc.constantFrom<FailureKind>("connect", "reset", "region-refused", "saturated", "status"),
        back,
      )
      .map(([kind, attempt]) => failed(attempt, kind)),
  },
);

const world = fc.record({
  /** What happens, how long after the last, and whether everybody is full from then on. */
  events: fc.array(fc.tuple(anyEvent, fc.nat(300), fc.boolean()), { minLength: 5, maxLength: 40 }),
  /** Everybody is full, as it begins and as it ends. */
  isFull: fc.tuple(fc.boolean(), fc.boolean()),
  holdMs: fc.constantFrom(0, 40, 500, 2_000, 60_000),
  candidates: fc.array(fc.constantFrom<Candidate["kind"]>("backend", "peer"), {
    minLength: 1,
    maxLength: 8,
  }),
  allowed: fc.integer({ min: 1, max: 6 }),
  hedges: fc.boolean(),
  continues: fc.boolean(),
  retry: fc.nat(3),
  hedge: fc.nat(1),
  seed: fc.string(),
});

type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

type Run = {
  readonly made: AttemptMachine;
  readonly fake: Fake;
  readonly commands: readonly AttemptCommand[];
};

function run(given: World): Run {
  const fake = ports(given.candidates.map((kind, slot) => candidate(slot, kind)));
  fake.purse.retry = given.retry;
  fake.purse.hedge = given.hedge;
  fake.isFull = given.isFull[0];
  const { allowed: attempts, hedges, continues, holdMs } = given;
  const times = { slowMs: 400, headersMs: 600, holdMs };
  const limits: Budgets = { ...budgets, attempts, hedges, continues, ...times };
  const made = new AttemptMachine(fake, limits, seededRandom(given.seed));
  const commands: AttemptCommand[] = [];
  let now = 0;
  const step = (event: AttemptEvent): void => {
    const before = made.finished();
    const more = made.step(event, now);
    if (before) expect(more).toEqual([]);
    commands.push(...more);
    // Whoever waits is woken, and never later than the request's own time.
    if (!made.finished()) expect(made.wakeAt()).toBeLessThanOrEqual(made.deadlineAt());
    if (event.kind === "tick" && fake.waiting > 0) {
      expect(made.heldMs(now)).toBeLessThanOrEqual(given.holdMs);
    }
    if (!made.finished() && fake.live === 0) expect(made.wakeAt()).toBeLessThan(now + 1_001);
  };
  step({ kind: "start" });
  for (const [event, ms, isFull] of given.events) {
    now += ms;
    fake.isFull = isFull;
    const newest = made.records().length;
    step("attempt" in event ? { ...event, attempt: newest - event.attempt } : event);
  }
  fake.isFull = given.isFull[1];
  // Whatever came before, time alone brings the end, and each tick brings it nearer.
  for (let tick = 0; tick < 600 && !made.finished(); tick++) {
    const wakeAt = made.wakeAt();
    now = Math.max(now, wakeAt);
    step({ kind: "tick" });
    if (!made.finished()) expect(made.wakeAt()).toBeGreaterThan(wakeAt);
  }
  return { made, fake, commands };
}

function of<K extends AttemptCommand["kind"]>(commands: readonly AttemptCommand[], kind: K) {
  return commands.filter(
    (each): each is Extract<AttemptCommand, { kind: K }> => each.kind === kind,
  );
}

test("any events: an end, one commit, two live calls, bounded attempts, one hop, every call ended once", () => {
  let hedges = 0;
  let splices = 0;
  fc.assert(
    fc.property(world, (given) => {
      const { made, fake, commands } = run(given);
      expect(of(commands, "finish")).toHaveLength(1);
      expect(commands.at(-1)?.kind).toBe("finish");
      expect(of(commands, "commit").length).toBeLessThanOrEqual(1);
      expect(fake.liveMost).toBeLessThanOrEqual(2);
      expect(fake.live).toBe(0);
      const records = made.records();
      expect(fake.ends).toHaveLength(records.length);
      expect(records.every((each) => each.outcome !== "running")).toBe(true);
      const slots = records.map((each) => each.candidate.slot);
      expect(new Set(slots).size).toBe(slots.length);
      const peers = records.filter((each) => each.candidate.kind === "peer").length;
      expect(slots.length - peers).toBeLessThanOrEqual(given.allowed);
      hedges += records.filter((each) => each.role === "hedge").length;
      splices += of(commands, "splice").length;
    }),
    { numRuns: 2_000 },
  );
  // The property means something only if what it is about did happen.
  expect(Math.min(hedges, splices)).toBeGreaterThan(5);
});

test("any events: a hold ends with a call or an end, in its time, and is never beside a call", () => {
  let holds = 0;
  fc.assert(
    fc.property(world, (given) => {
      const { fake, commands } = run(given);
      expect(fake.waiting).toBe(0);
      for (const [at, command] of commands.entries()) {
        if (command.kind !== "hold") continue;
        holds += 1;
        expect(["call", "finish"]).toContain(commands[at + 1]?.kind);
        const before = commands.slice(0, at);
        expect(of(before, "commit")).toEqual([]);
      }
    }),
    { numRuns: 1_000 },
  );
  expect(holds).toBeGreaterThan(50);
});

test("any events: budgets are kept, one hedge at most, and a continuation only of what can be gone on from", () => {
  fc.assert(
    fc.property(world, (given) => {
      const { made, fake, commands } = run(given);
      const roles = (role: string) => made.records().filter((each) => each.role === role);
      const spent = (budget: string) => fake.spent.filter((each) => each === budget).length;
      expect(spent("retry")).toBeLessThanOrEqual(given.retry);
      expect(roles("hedge").length).toBe(spent("hedge"));
      expect(roles("hedge").length).toBeLessThanOrEqual(given.hedges ? 1 : 0);
      const continuations = roles("continuation");
      if (!given.continues) expect(continuations).toEqual([]);
      expect(continuations.every((each) => each.candidate.assistantPrefix !== "none")).toBe(true);
      const commitAt = commands.findIndex((each) => each.kind === "commit");
      for (const [at, command] of commands.entries()) {
        // After the commit nothing but continuations is called, before it none.
        if (command.kind !== "call") continue;
        expect(command.role === "continuation").toBe(commitAt >= 0 && at > commitAt);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("any events: who speaks was called, is not cancelled as it begins, and is the one that ends", () => {
  fc.assert(
    fc.property(world, (given) => {
      const { commands } = run(given);
      let speaker = 0;
      const over = new Set<number>();
      const called = new Set<number>();
      for (const command of commands) {
        if (command.kind === "call") called.add(command.attempt);
        if (command.kind === "cancel") over.add(command.attempt);
        if (command.kind === "commit" || command.kind === "splice") {
          expect(called.has(command.attempt) && !over.has(command.attempt)).toBe(true);
          speaker = command.attempt;
        }
        if (command.kind !== "finish") continue;
        const { ending } = command;
        if (ending.kind === "complete" || ending.kind === "broken") {
          expect(ending.attempt).toBe(speaker);
        }
        if (ending.kind === "refused" || ending.kind === "rejected") expect(speaker).toBe(0);
      }
    }),
    { numRuns: 1_000 },
  );
});
