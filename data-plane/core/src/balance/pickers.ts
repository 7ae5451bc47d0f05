// Pickers by the names that a policy uses.

import type { Balance } from "@meridian/proto/snapshot";
import { cacheAware } from "./cache-aware.ts";
import { leastOutstanding } from "./least-outstanding.ts";
import type { Picker } from "./picker.ts";
import { roundRobin } from "./round-robin.ts";
import { weighted } from "./weighted.ts";

/** A new one is written here, and proved by picker.contract.ts. */
export const pickers: { readonly [K in Balance]: Picker } = {
  "round-robin": roundRobin,
  "least-outstanding": leastOutstanding,
  weighted,
  "cache-aware": cacheAware,
};

export function findPicker(name: Balance): Picker {
  return pickers[name];
}
