import type { Problem } from "../base/index.ts";
import type { Policy } from "../gen/meridian/v1/policy_pb.ts";

/** Every problem of meaning: dangling names, cycles, models nobody serves, … Warnings too. */
export function checkPolicy(_policy: Policy): readonly Problem[] {
  return [];
}
