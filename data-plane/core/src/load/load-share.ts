// What one engine counts in, put together: its own load, or its part of the load that a proxy's threads share.

import { Demand, demandBufferBytes } from "./demand.ts";
import { EngineTotals, totalsBufferBytes } from "./engine-totals.ts";
import { defaultSlots, LoadTable, loadBufferBytes, type Stripes } from "./load-table.ts";
import { SlotKeeper, type Slots } from "./slot-keeper.ts";

export type LoadShare = {
  readonly table: LoadTable;
  readonly totals: EngineTotals;
  readonly demand: Demand;
  readonly slots: Slots;
};

/** The memory behind a shared load; every thread gets the same. */
export type LoadBuffers = {
  readonly table: SharedArrayBuffer;
  readonly totals: SharedArrayBuffer;
  readonly demand: SharedArrayBuffer;
};

/** A load that no other thread sees. */
export function ownLoad(slots = defaultSlots): LoadShare {
  const table = new LoadTable(new ArrayBuffer(loadBufferBytes(slots)));
  const demand = new Demand(new ArrayBuffer(demandBufferBytes(slots)));
  return { table, totals: new EngineTotals(), demand, slots: new SlotKeeper(table) };
}

/** Zeroed memory for so many threads. */
export function createLoadBuffers(threads: number, slots = defaultSlots): LoadBuffers {
  return {
    table: new SharedArrayBuffer(loadBufferBytes(slots, threads)),
    totals: new SharedArrayBuffer(totalsBufferBytes(threads)),
    demand: new SharedArrayBuffer(demandBufferBytes(slots, threads)),
  };
}

/** The counters of one thread over the shared memory. A thread that only reads may have any stripe. */
export function openLoadBuffers(buffers: LoadBuffers, stripes: Stripes): Omit<LoadShare, "slots"> {
  return {
    table: new LoadTable(buffers.table, stripes),
    totals: new EngineTotals(buffers.totals, stripes),
    demand: new Demand(buffers.demand, stripes),
  };
}
