import fc from "fast-check";
import { expect, test } from "vitest";
import { EngineTotals } from "./engine-totals.ts";
import { createLoadBuffers, openLoadBuffers } from "./load-share.ts";
import { LoadTable, loadBufferBytes } from "./load-table.ts";

function tableOf(slots: number): LoadTable {
  return new LoadTable(new ArrayBuffer(loadBufferBytes(slots)));
}

test("what starts and ends is counted in its slot alone", () => {
  const table = tableOf(2);
  table.start(0, 100);
  table.start(0, 50);
  expect([table.inFlight(0), table.pendingTokens(0)]).toEqual([2, 150]);
  table.end(0, 100, "succeeded");
  table.end(0, 50, "failed");
  expect([table.inFlight(0), table.pendingTokens(0)]).toEqual([0, 0]);
  expect(
    ["started", "succeeded", "failed"].map((what) => table.counted(0, what as "failed")),
  ).toEqual([2, 1, 1]);
  expect(table.counted(1, "started")).toBe(0);
});

test("what a first token needs is awaited until it comes or the call ends", () => {
  const table = tableOf(2);
  table.start(0, 300, 200);
  table.start(0, 150, 50);
  expect([table.pendingTokens(0), table.awaitedTokens(0), table.awaitedTokens(1)]).toEqual([
    450, 250, 0,
  ]);
  table.spoke(0, 200);
  expect([table.pendingTokens(0), table.awaitedTokens(0)]).toEqual([250, 50]);
  table.end(0, 100, "succeeded");
  table.end(0, 150, "failed", 50);
  expect([table.inFlight(0), table.pendingTokens(0), table.awaitedTokens(0)]).toEqual([0, 0, 0]);
});

test("an ending that says nothing of the target is not counted", () => {
  const table = tableOf(1);
  table.start(0, 1);
  table.end(0, 1, "uncounted");
  expect([table.counted(0, "succeeded"), table.counted(0, "failed")]).toEqual([0, 0]);
  expect(table.inFlight(0)).toBe(0);
});

test("a counter that outgrows 32 bits goes on from nothing and is never negative", () => {
  const buffer = new SharedArrayBuffer(loadBufferBytes(1, 2));
  new Int32Array(buffer).fill(0x7fff_ffff);
  const table = new LoadTable(buffer, { count: 2, own: 0 });
  table.start(0, 0);
  expect(table.counted(0, "started")).toBe(0xffff_ffff);
  table.start(0, 0);
  expect(table.counted(0, "started")).toBe(0);
});

test("any calls on any threads: every thread reads the sum over all, slot by slot", () => {
  const call = fc.record({
    thread: fc.nat(2),
    slot: fc.nat(3),
    tokens: fc.nat(1_000_000),
    ends: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
      const buffers = createLoadBuffers(3, 4);
      const threads = [0, 1, 2].map((own) => openLoadBuffers(buffers, { count: 3, own }).table);
      for (const { thread, slot, tokens, ends } of calls) {
        threads[thread]?.start(slot, tokens);
        if (ends) threads[thread]?.end(slot, tokens, "succeeded");
      }
      for (let slot = 0; slot < 4; slot++) {
        const here = calls.filter((each) => each.slot === slot);
        const live = here.filter((each) => !each.ends);
        const expected = [
          live.length,
          live.reduce((sum, each) => sum + each.tokens, 0),
          here.length,
          here.length - live.length,
        ];
        for (const table of threads) {
          expect([
            table.inFlight(slot),
            table.pendingTokens(slot),
            table.counted(slot, "started"),
            table.counted(slot, "succeeded"),
          ]).toEqual(expected);
        }
      }
    }),
  );
});

test("two threads never write into one cache line", () => {
  const buffer = new SharedArrayBuffer(loadBufferBytes(4, 2));
  const cells = new Int32Array(buffer);
  const written = [0, 1].map((own) => {
    cells.fill(0);
    const table = new LoadTable(buffer, { count: 2, own });
    for (let slot = 0; slot < 4; slot++) table.start(slot, 1);
    const lines = [...cells.keys()]
      .filter((at) => cells[at] !== 0)
      .map((at) => Math.floor(at / 16));
    return new Set(lines);
  });
  expect(written[0]?.size).toBeGreaterThan(0);
  expect([...(written[0] ?? [])].filter((line) => written[1]?.has(line))).toEqual([]);
});

test("clearing a slot takes what every thread counted there, and nothing else", () => {
  const buffers = createLoadBuffers(2, 2);
  const [one, other] = [0, 1].map((own) => openLoadBuffers(buffers, { count: 2, own }).table);
  for (const slot of [0, 1]) {
    one?.start(slot, 5);
    other?.start(slot, 5);
  }
  one?.clear(0);
  expect([one?.inFlight(0), one?.pendingTokens(0), one?.counted(0, "started")]).toEqual([0, 0, 0]);
  expect([other?.inFlight(1), other?.pendingTokens(1)]).toEqual([2, 10]);
});

test("totals are sums over threads, and tell each thread's share of the requests", () => {
  const buffers = createLoadBuffers(2, 1);
  const [one, other] = [0, 1].map((own) => openLoadBuffers(buffers, { count: 2, own }).totals);
  one?.begun();
  one?.begun();
  other?.begun();
  one?.settled({ inputTokens: 5_000_000_000, outputTokens: 7, edge: "answered" });
  other?.settled({ inputTokens: 0, outputTokens: 0, edge: "failed" });
  other?.settled({ inputTokens: 0, outputTokens: 0, edge: "nothing" });
  const tokens = { inputTokens: 5_000_000_000, outputTokens: 7 };
  const expected = { live: 0, requests: 3, ...tokens, answered: 1, failed: 1 };
  expect([one?.read(), other?.read()]).toEqual([expected, expected]);
  expect(other?.requestsByStripe()).toEqual([2, 1]);
});

test("totals that nobody shares count alone", () => {
  const totals = new EngineTotals();
  totals.begun();
  expect(totals.read()).toMatchObject({ live: 1, requests: 1, inputTokens: 0, outputTokens: 0 });
  expect(new EngineTotals().read().requests).toBe(0);
});
