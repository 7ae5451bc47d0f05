// One after the other, in the order of the pool. Who has less weight than the others lets turns pass.
// Source: Shreedhar and Varghese, Efficient Fair Queuing Using Deficit Round Robin (1996), with the weight as quantum.

import type { Random } from "@meridian/proto/base";
import { begin, type Picker } from "./picker.ts";
import type { Shortlist } from "./shortlist.ts";

export const roundRobin: Picker = { name: "round-robin", pick, score };

/** Sums of shares are not exact: ten tenths are a turn. */
const wholeTurn = 1 - 1e-9;

function pick(list: Shortlist, random: Random): number {
  const heaviest = largestWeight(list);
  if (heaviest <= 0) return -1;
  begin(list, random);
  const { memory } = list;
  let entry = firstAfter(list, memory.cursor);
  // The heaviest has a whole turn each time: one lap is enough.
  for (let step = 0; step < list.count; step++) {
    const place = list.places[entry] ?? 0;
    const saved = (memory.turns[place] ?? 0) + (list.weights[entry] ?? 0) / heaviest;
    if (saved >= wholeTurn) {
      memory.turns[place] = saved - 1;
      memory.cursor = place;
      return entry;
    }
    memory.turns[place] = saved;
    entry = entry + 1 < list.count ? entry + 1 : 0;
  }
  return -1;
}

function firstAfter(list: Shortlist, cursor: number): number {
  for (let entry = 0; entry < list.count; entry++) {
    if ((list.places[entry] ?? 0) > cursor) return entry;
  }
  return 0;
}

function largestWeight(list: Shortlist): number {
  let largest = 0;
  for (let entry = 0; entry < list.count; entry++) {
    largest = Math.max(largest, list.weights[entry] ?? 0);
  }
  return largest;
}

/** Turns that lie between the chosen one and this one. */
function score(list: Shortlist, entry: number): number {
  const ahead = (list.places[entry] ?? 0) - list.memory.cursor;
  return ahead >= 0 ? ahead : ahead + list.memory.credits.length;
}
