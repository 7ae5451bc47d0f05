// Every scenario by its name.

import {
  backendDies,
  correlatedSlowness,
  diurnalLoad,
  flappingBackend,
  hotPrefix,
  liarBackend,
  retryStorm,
} from "./backend-scenarios.ts";
import {
  clockSkew,
  controlPlanesGone,
  digestDelay,
  etcdLeaderLoss,
  slowDisk,
  staleMember,
} from "./control-scenarios.ts";
import {
  asymmetricPartition,
  drainedRegion,
  regionLoss,
  residencyBound,
  thunderingReturn,
  twoRegionsFull,
} from "./region-scenarios.ts";
import type { Scenario } from "./scenario.ts";

export const allScenarios: { readonly [name: string]: Scenario } = {
  "region-loss": regionLoss,
  "asymmetric-partition": asymmetricPartition,
  "etcd-leader-loss": etcdLeaderLoss,
  "control-planes-gone": controlPlanesGone,
  "digest-delay": digestDelay,
  "correlated-slowness": correlatedSlowness,
  "flapping-backend": flappingBackend,
  "backend-dies": backendDies,
  "liar-backend": liarBackend,
  "retry-storm": retryStorm,
  "thundering-return": thunderingReturn,
  "two-regions-full": twoRegionsFull,
  "drained-region": drainedRegion,
  "clock-skew": clockSkew,
  "hot-prefix": hotPrefix,
  "residency-bound": residencyBound,
  "stale-member": staleMember,
  "slow-disk": slowDisk,
  diurnal: diurnalLoad,
};

export function findScenario(name: string): Scenario | undefined {
  return Object.hasOwn(allScenarios, name) ? allScenarios[name] : undefined;
}
