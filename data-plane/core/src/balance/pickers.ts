// Pickers by the names that a policy uses.

import { leastOutstanding } from "./least-outstanding.ts";
import type { Picker } from "./picker.ts";

const pickers: ReadonlyMap<string, Picker> = new Map([[leastOutstanding.name, leastOutstanding]]);

/** The picker of a name; least-outstanding where the policy names none, or one that this build lacks. */
export function findPicker(name: string): Picker {
  return pickers.get(name) ?? leastOutstanding;
}
