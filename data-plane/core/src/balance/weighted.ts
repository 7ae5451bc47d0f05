// Smooth weighted round robin: each choice everybody earns its share, and who has most is chosen and pays for it.
// Source: nginx, ngx_http_upstream_round_robin.c (Sysoev 2012). No load is looked at: shares are exact and well mixed.

import type { Random } from "@meridian/proto/base";
import { begin, creditOf, type Picker, sumWeights } from "./picker.ts";
import type { Shortlist } from "./shortlist.ts";

export const weighted: Picker = { name: "weighted", pick, score };

function pick(list: Shortlist, random: Random): number {
  const total = sumWeights(list);
  if (total <= 0) return -1;
  begin(list, random);
  let chosen = -1;
  let most = Number.NEGATIVE_INFINITY;
  for (let entry = 0; entry < list.count; entry++) {
    const weight = list.weights[entry] ?? 0;
    if (weight <= 0) continue;
    const credit = creditOf(list, entry) + weight / total;
    if (credit <= most) continue;
    most = credit;
    chosen = entry;
  }
  list.memory.spend(list, chosen, total);
  return chosen;
}

/** The credit after the choice, turned around. */
function score(list: Shortlist, entry: number): number {
  return -creditOf(list, entry);
}
