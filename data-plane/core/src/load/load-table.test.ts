import fc from "fast-check";
import { expect, test } from "vitest";
import { LoadTable, loadBufferBytes } from "./load-table.ts";

function tableOf(slots: number): LoadTable {
  return new LoadTable(new ArrayBuffer(loadBufferBytes(slots)));
}

function claimed(table: LoadTable, id: string): number {
  const slot = table.claim(id);
  if (slot === undefined) throw new Error("the table is full");
  return slot;
}

test("what starts and ends is counted in its slot alone", () => {
  const table = tableOf(2);
  const [a, b] = [claimed(table, "a"), claimed(table, "b")];
  table.start(a, 100);
  table.start(a, 50);
  expect([table.inFlight(a), table.pendingTokens(a)]).toEqual([2, 150]);
  table.end(a, 100, "succeeded");
  table.end(a, 50, "failed");
  expect([table.inFlight(a), table.pendingTokens(a)]).toEqual([0, 0]);
  expect(
    ["started", "succeeded", "failed"].map((what) => table.counted(a, what as "failed")),
  ).toEqual([2, 1, 1]);
  expect(table.counted(b, "started")).toBe(0);
});

test("an id keeps its slot over a change of policy, and its numbers", () => {
  const table = tableOf(4);
  const slot = claimed(table, "a");
  table.start(slot, 5);
  table.retire("a");
  expect(table.claim("a")).toBe(slot);
  expect(table.inFlight(slot)).toBe(1);
});

test("a slot is given away only when nothing is in flight, and then starts from nothing", () => {
  const table = tableOf(1);
  const slot = claimed(table, "a");
  table.start(slot, 5);
  table.retire("a");
  expect(table.claim("b")).toBeUndefined();
  table.end(slot, 5, "succeeded");
  expect(table.claim("b")).toBe(slot);
  expect(table.counted(slot, "started")).toBe(0);
});

test("two tables over one shared buffer see the same numbers", () => {
  const buffer = new SharedArrayBuffer(loadBufferBytes(2));
  const [one, other] = [new LoadTable(buffer), new LoadTable(buffer)];
  const slot = claimed(one, "a");
  one.start(slot, 7);
  other.start(slot, 1);
  expect(one.pendingTokens(slot)).toBe(8);
});

test("any order of claims, calls and retirements: no two ids share a slot, and sums come back to nothing", () => {
  const step = fc.record({
    what: fc.constantFrom("claim", "retire", "start", "end"),
    id: fc.constantFrom("a", "b", "c", "d", "e"),
    tokens: fc.nat(1_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const table = tableOf(3);
      const slots = new Map<string, number>();
      const live: { readonly slot: number; readonly tokens: number }[] = [];
      for (const { what, id, tokens } of steps) {
        const slot = slots.get(id);
        if (what === "claim") {
          const given = table.claim(id);
          if (given !== undefined) slots.set(id, given);
        } else if (what === "retire") {
          table.retire(id);
          slots.delete(id);
        } else if (what === "start" && slot !== undefined) {
          table.start(slot, tokens);
          live.push({ slot, tokens });
        } else if (what === "end") {
          const call = live.pop();
          if (call !== undefined) table.end(call.slot, call.tokens, "succeeded");
        }
        const held = [...slots.values()];
        expect(new Set(held).size).toBe(held.length);
      }
      for (const call of live) table.end(call.slot, call.tokens, "failed");
      for (let slot = 0; slot < 3; slot++) {
        expect([table.inFlight(slot), table.pendingTokens(slot)]).toEqual([0, 0]);
      }
    }),
  );
});

test("a slot is told fresh whenever it gets another owner, and only then", () => {
  const table = new LoadTable(new ArrayBuffer(loadBufferBytes(1)));
  expect(table.claim("a")).toBe(0);
  expect(table.takeFresh()).toEqual([0]);
  expect(table.claim("a")).toBe(0);
  expect(table.takeFresh()).toEqual([]);
  table.retire("a");
  expect(table.claim("b")).toBe(0);
  expect(table.takeFresh()).toEqual([0]);
});
