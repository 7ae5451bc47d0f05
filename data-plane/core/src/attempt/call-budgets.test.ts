import fc from "fast-check";
import { expect, test } from "vitest";
import { CallBudgets, callBudgetBytes } from "./call-budgets.ts";

function spendAll(budgets: CallBudgets, budget: "retry" | "hedge", now: number): number {
  let spent = 0;
  while (spent < 5_000 && budgets.spend(budget, now)) spent += 1;
  return spent;
}

test("without any request there is the burst, then ten a second, and never more than the burst", () => {
  const budgets = new CallBudgets();
  expect(spendAll(budgets, "retry", 0)).toBe(100);
  expect(spendAll(budgets, "retry", 50)).toBe(0);
  expect(spendAll(budgets, "retry", 1_000)).toBe(10);
  expect(spendAll(budgets, "retry", 2_500)).toBe(15);
  expect(spendAll(budgets, "retry", 3_600_000)).toBe(100);
});

test("requests add their share, up to what may be saved", () => {
  const budgets = new CallBudgets();
  spendAll(budgets, "retry", 0);
  for (let request = 0; request < 500; request++) budgets.deposit("retry", 10);
  expect(budgets.left("retry", 0)).toBe(50);
  expect(spendAll(budgets, "retry", 0)).toBe(50);
  for (let request = 0; request < 100_000; request++) budgets.deposit("retry", 10);
  expect(spendAll(budgets, "retry", 0)).toBe(1_000);
});

test("a hedge is paid by requests alone", () => {
  const budgets = new CallBudgets();
  expect(budgets.spend("hedge", 1_000_000)).toBe(false);
  for (let request = 0; request < 40; request++) budgets.deposit("hedge", 5);
  expect(spendAll(budgets, "hedge", 0)).toBe(2);
  for (let request = 0; request < 9_000; request++) budgets.deposit("hedge", 5);
  expect(spendAll(budgets, "hedge", 0)).toBe(10);
});

test("the budgets of two threads over one memory are one, whatever the clocks say", () => {
  const memory = new SharedArrayBuffer(callBudgetBytes);
  const [a, b] = [new CallBudgets(memory), new CallBudgets(memory)];
  expect(spendAll(a, "retry", 5_000)).toBe(100);
  expect(b.spend("retry", 4_000)).toBe(false);
  expect(spendAll(b, "retry", 6_000) + spendAll(a, "retry", 6_000)).toBe(10);
});

test("any requests and failures: never more than the burst, the floor and the share together", () => {
  const step = fc.record({ ms: fc.nat(3_000), requests: fc.nat(30), tries: fc.nat(60) });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 50 }),
      fc.integer({ min: 0, max: 100 }),
      (steps, percent) => {
        const budgets = new CallBudgets();
        let now = 0;
        let requests = 0;
        let spent = 0;
        for (const { ms, requests: more, tries } of steps) {
          now += ms;
          requests += more;
          for (let each = 0; each < more; each++) budgets.deposit("retry", percent);
          for (let each = 0; each < tries; each++) if (budgets.spend("retry", now)) spent += 1;
          expect(spent).toBeLessThanOrEqual(100 + now / 100 + (requests * percent) / 100);
        }
      },
    ),
  );
});
