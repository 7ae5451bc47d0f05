import fc from "fast-check";
import { expect, test } from "vitest";
import type { Attempts } from "../attempt/index.ts";
import { HoldQueues, heldMax, type Ticket } from "./hold-queues.ts";

/** Of a request that is told of by its name alone. */
function attempts(): Attempts {
  return {
    step: () => [],
    wakeAt: () => 0,
    deadlineAt: () => 0,
    committed: () => false,
    mayContinue: () => false,
    finished: () => false,
    heldMs: () => 0,
    records: () => [],
  };
}

function join(queues: HoldQueues, more: { model?: string; tokens?: number; picky?: boolean } = {}) {
  const { model = "m", tokens = 10, picky = false } = more;
  return queues.join({ attempts: attempts(), model, tokens, isPicky: picky });
}

test("nobody is asked before there may be room, and then who came first", () => {
  const queues = new HoldQueues();
  const [a, b] = [join(queues), join(queues)];
  expect(queues.take()).toBeUndefined();
  queues.open();
  expect(queues.take()).toBe(a.attempts);
  queues.leave(a);
  expect(queues.take()).toBe(b.attempts);
  // It stayed: there is no more room.
  expect(queues.take()).toBeUndefined();
  queues.open();
  expect(queues.take()).toBe(b.attempts);
});

test("who can't use every place does not stand in the way of others", () => {
  const queues = new HoldQueues();
  const picky = join(queues, { picky: true });
  expect(queues.isBehind("m", undefined)).toBe(false);
  const [plain, late] = [join(queues), join(queues)];
  expect([picky, plain, late].map((each) => queues.isBehind("m", each))).toEqual([
    false,
    false,
    true,
  ]);
  expect(queues.isBehind("m", undefined)).toBe(true);
  queues.open();
  expect(queues.take()).toBe(picky.attempts);
  expect(queues.take()).toBe(plain.attempts);
  expect(queues.take()).toBeUndefined();
});

test("models do not wait for each other", () => {
  const queues = new HoldQueues();
  join(queues, { model: "a" });
  expect(queues.isBehind("b", undefined)).toBe(false);
  const other = join(queues, { model: "b" });
  queues.open();
  queues.take();
  expect(queues.take()).toBe(other.attempts);
  expect(queues.take()).toBeUndefined();
});

test("the bound is each model's own", () => {
  const queues = new HoldQueues();
  for (let each = 0; each < heldMax; each++) join(queues);
  expect(queues.isFull("m")).toBe(true);
  expect(queues.isFull("other")).toBe(false);
});

type Step =
  | { readonly kind: "join"; readonly tokens: number; readonly picky: boolean }
  | { readonly kind: "leave"; readonly place: number }
  | { readonly kind: "open"; readonly places: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant<"join">("join"),
    tokens: fc.nat(100),
    picky: fc.constantFrom(false, false, true),
  }),
  fc.record({ kind: fc.constant<"leave">("leave"), place: fc.nat(10) }),
  fc.record({ kind: fc.constant<"open">("open"), places: fc.nat(4) }),
);

/** Asks as a shell does. Each plain one that is asked takes a place while there is one. */
function giveRoom(queues: HoldQueues, held: Ticket[], places: number): Ticket[] {
  const given: Ticket[] = [];
  queues.open();
  for (let asked = queues.take(); asked !== undefined; asked = queues.take()) {
    const ticket = held.find((each) => each.attempts === asked);
    if (ticket === undefined) throw new Error("somebody was asked who does not wait");
    if (ticket.isPicky || given.length >= places) continue;
    given.push(ticket);
    held.splice(held.indexOf(ticket), 1);
    queues.leave(ticket);
  }
  return given;
}

test("whatever comes: first come first served, nobody is forgotten, and each knows what stands before it", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queues = new HoldQueues();
      const held: Ticket[] = [];
      for (const each of steps) {
        if (each.kind === "join") held.push(join(queues, each));
        if (each.kind === "leave") {
          for (const ticket of held.splice(each.place, 1)) queues.leave(ticket);
        }
        if (each.kind === "open") {
          const waiting = held.filter(({ isPicky }) => !isPicky);
          const given = giveRoom(queues, held, each.places);
          expect(given).toEqual(waiting.slice(0, each.places));
        }
        expect(queues.count).toBe(held.length);
        let ahead = 0;
        for (const ticket of held) {
          expect(ticket.aheadTokens).toBe(ahead);
          ahead += ticket.tokens;
        }
        expect(queues.tokensOf("m")).toBe(ahead);
      }
    }),
  );
});
