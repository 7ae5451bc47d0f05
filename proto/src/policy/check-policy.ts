// Whether a policy that is well formed also makes sense.

import type { Problem } from "../base/index.ts";
import type { Policy } from "../gen/meridian/v1/policy_pb.ts";
import { checkBackends } from "./check-backends.ts";
import { checkHealth } from "./check-health.ts";
import { checkInForce } from "./check-in-force.ts";
import { checkModels } from "./check-models.ts";
import { checkNames } from "./check-names.ts";
import { checkProbes } from "./check-probes.ts";
import { checkReach } from "./check-reach.ts";
import { checkRegions } from "./check-regions.ts";
import { checkRoutes } from "./check-routes.ts";
import { checkTenants } from "./check-tenants.ts";
import { createFindings } from "./findings.ts";
import { indexPolicy } from "./policy-index.ts";

/**
 * Every problem of meaning: dangling names, cycles, models nobody serves, addresses that nothing should be sent to.
 * Warnings stand after what refuses; at most 1,000 of each are told one by one. Never throws.
 */
export function checkPolicy(policy: Policy): readonly Problem[] {
  const findings = createFindings();
  const index = indexPolicy(policy, findings);
  checkNames(index);
  checkRegions(index);
  checkBackends(index);
  checkProbes(index);
  checkHealth(index);
  checkModels(index);
  checkRoutes(index);
  checkTenants(index);
  checkReach(index);
  checkInForce(index);
  return findings.list();
}
