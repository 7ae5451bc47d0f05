// A policy in force, as this control plane serves it: decoded once, shared by everything that reads it.

import type { Policy } from "@meridian/proto/gen/policy_pb";
import type { Snapshot, Version } from "@meridian/proto/gen/snapshot_pb";

export type Published = {
  readonly version: Version;
  readonly policy: Policy;
  /** By region. */
  readonly snapshots: ReadonlyMap<string, Snapshot>;
};
