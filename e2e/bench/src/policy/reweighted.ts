// The smallest change to a policy that reaches a region's proxies: one backend's weight.

import type { PolicyDocument } from "@meridian/harness";

/** The policy with its first backend of each region at a weight that differs from the one of the turn before. */
export function reweighted(policy: PolicyDocument, turn: number): PolicyDocument {
  const seen = new Set<string>();
  return {
    ...policy,
    backends: policy.backends.map((backend) => {
      if (seen.has(backend.region)) return backend;
      seen.add(backend.region);
      return { ...backend, weight: 1 + (turn % 7) };
    }),
  };
}
