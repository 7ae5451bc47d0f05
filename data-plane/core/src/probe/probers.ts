// Which of a region's proxies probe a backend: the same two for everybody who knows the same proxies, others when one of
// them leaves. Rendezvous hashing (Thaler and Ravishankar 1998): nobody has to agree with anybody.

import { fnv1a } from "@meridian/proto/base";

/** Two see more than one: a broken way from one proxy is told from a broken backend. */
export const probersPerBackend = 2;

/**
 * Whether the proxy is among the probers of a backend. A proxy that knows of no other probes everything itself.
 *
 * @example isProber("us-a", "proxy-1", ["proxy-1", "proxy-2", "proxy-3"])
 */
export function isProber(backend: string, self: string, proxies: readonly string[]): boolean {
  const own = weigh(backend, self);
  let ahead = 0;
  for (const each of proxies) {
    if (each === self) continue;
    const other = weigh(backend, each);
    // Equal weights are told apart by name, alike for everybody.
    if (other > own || (other === own && each < self)) ahead += 1;
  }
  return ahead < probersPerBackend;
}

/** FNV alone spreads similar names badly in its high bits; the finaliser of MurmurHash3 mends that. */
function weigh(backend: string, proxy: string): number {
  let hash = fnv1a(`${backend}\n${proxy}`);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
