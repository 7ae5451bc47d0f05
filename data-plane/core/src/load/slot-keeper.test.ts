import fc from "fast-check";
import { expect, test } from "vitest";
import { LoadTable, loadBufferBytes } from "./load-table.ts";
import { GivenSlots, SlotKeeper } from "./slot-keeper.ts";

function keeperOf(slots: number, shared = false): { load: LoadTable; keeper: SlotKeeper } {
  const load = new LoadTable(new ArrayBuffer(loadBufferBytes(slots)));
  return { load, keeper: new SlotKeeper(load, { shared }) };
}

function policy(keeper: SlotKeeper, ...ids: readonly string[]): readonly (number | undefined)[] {
  const slots = ids.map((id) => keeper.claim(id));
  keeper.commit();
  return slots;
}

test("an id keeps its slot over a change of policy, and its numbers", () => {
  const { load, keeper } = keeperOf(4);
  const [a] = policy(keeper, "a", "b");
  load.start(a ?? -1, 5);
  policy(keeper, "b");
  expect(policy(keeper, "a", "b")[0]).toBe(a);
  expect(load.inFlight(a ?? -1)).toBe(1);
});

test("a slot is given away only when nothing is in flight, and then starts from nothing", () => {
  const { load, keeper } = keeperOf(1);
  policy(keeper, "a");
  load.start(0, 5);
  policy(keeper);
  expect(keeper.claim("b")).toBeUndefined();
  load.end(0, 5, "succeeded");
  expect(keeper.claim("b")).toBe(0);
  expect([load.counted(0, "started"), load.counted(0, "succeeded")]).toEqual([0, 0]);
});

test("a shared slot waits for every thread's word beside its calls", () => {
  const { load, keeper } = keeperOf(1, true);
  policy(keeper, "a");
  keeper.acknowledged();
  load.start(0, 5);
  policy(keeper);
  load.end(0, 5, "succeeded");
  expect(keeper.claim("b")).toBeUndefined();
  keeper.acknowledged();
  expect(keeper.claim("b")).toBe(0);
});

test("a slot is told fresh whenever it gets another owner, and only then", () => {
  const { keeper } = keeperOf(1);
  expect(keeper.claim("a")).toBe(0);
  expect(keeper.commit()).toEqual([0]);
  expect(keeper.claim("a")).toBe(0);
  expect(keeper.commit()).toEqual([]);
  expect(keeper.commit()).toEqual([]);
  expect(keeper.claim("b")).toBe(0);
  expect(keeper.commit()).toEqual([0]);
});

test("a policy that is refused leaves every owner as it was", () => {
  const { keeper } = keeperOf(2);
  policy(keeper, "a");
  keeper.claim("b");
  keeper.claim("c");
  expect(keeper.claim("d")).toBeUndefined();
  keeper.abort();
  expect(policy(keeper, "a", "d")).toEqual([0, 1]);
});

test("a table with room for them takes all of them", () => {
  const { keeper } = keeperOf(64);
  const ids = Array.from({ length: 64 }, (_, place) => `id ${place}`);
  expect(new Set(policy(keeper, ...ids)).size).toBe(64);
  expect(keeper.claim("one more")).toBeUndefined();
});

test("a listener thread has the slots that it was given, and no others", () => {
  const given = new GivenSlots();
  given.give(new Map([["a", 3]]), [3]);
  expect([given.claim("a"), given.claim("b")]).toEqual([3, undefined]);
  expect(given.commit()).toEqual([3]);
  given.abort();
  expect([given.claim("a"), given.commit()]).toEqual([undefined, []]);
});

test("any order of policies and calls on one thread: no two ids share a slot, and sums come back to nothing", () => {
  const step = fc.oneof(
    fc.record({ what: fc.constant("policy" as const), ids: fc.subarray(["a", "b", "c", "d"]) }),
    fc.record({ what: fc.constant("refused" as const), ids: fc.subarray(["a", "b", "c", "d"]) }),
    fc.record({ what: fc.constant("start" as const), at: fc.nat(), tokens: fc.nat(1_000) }),
    fc.record({ what: fc.constant("end" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const { load, keeper } = keeperOf(3);
      let slots = new Map<string, number>();
      const live: { readonly slot: number; readonly tokens: number }[] = [];
      for (const each of steps) {
        if (each.what === "policy" || each.what === "refused") {
          const claims = each.ids.map((id) => [id, keeper.claim(id)] as const);
          const given = claims.flatMap(([id, slot]) =>
            slot === undefined ? [] : [[id, slot] as const],
          );
          if (each.what === "refused" || given.length < claims.length) {
            keeper.abort();
          } else {
            keeper.commit();
            slots = new Map(given);
          }
        } else if (each.what === "start") {
          const slot = [...slots.values()][each.at % Math.max(1, slots.size)];
          if (slot === undefined) continue;
          load.start(slot, each.tokens);
          live.push({ slot, tokens: each.tokens });
        } else {
          const call = live.pop();
          if (call !== undefined) load.end(call.slot, call.tokens, "succeeded");
        }
        expect(new Set(slots.values()).size).toBe(slots.size);
      }
      for (const call of live) load.end(call.slot, call.tokens, "failed");
      for (let slot = 0; slot < 3; slot++) {
        expect([load.inFlight(slot), load.pendingTokens(slot)]).toEqual([0, 0]);
      }
    }),
  );
});
