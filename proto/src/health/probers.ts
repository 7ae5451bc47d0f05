// Which of a region's proxies probe a backend: the same two for everybody who knows the same proxies, others when one of
// them leaves. Rendezvous hashing (Thaler and Ravishankar 1998): nobody has to agree with anybody.

import { fnv1a } from "../base/index.ts";

/** Two, so that one that leaves or is cut off does not leave a backend unprobed. */
export const probersPerBackend = 2;

/** The probers of a backend among these proxies, the first choice first. */
export function chooseProbers(backend: string, proxies: readonly string[]): readonly string[] {
  const chosen: { readonly proxy: string; readonly weight: number }[] = [];
  for (const proxy of proxies) {
    chosen.push({ proxy, weight: weigh(backend, proxy) });
    // Equal weights are told apart by name, alike for everybody.
    chosen.sort((a, b) => b.weight - a.weight || (a.proxy < b.proxy ? -1 : 1));
    if (chosen.length > probersPerBackend) chosen.pop();
  }
  return chosen.map((each) => each.proxy);
}

/** FNV alone spreads similar names badly in its high bits; the finaliser of MurmurHash3 mends that. */
function weigh(backend: string, proxy: string): number {
  let hash = fnv1a(`${backend}\n${proxy}`);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
