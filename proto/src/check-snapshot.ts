// A linter for snapshots: run before publish and again before apply.
import type { Problem } from "./base/index.ts";
import type { Snapshot } from "./gen/meridian/v1/snapshot_pb.ts";

/** Problems that make a snapshot unfit to serve from; empty when it is fit. */
export function checkSnapshot(_snapshot: Snapshot): readonly Problem[] {
  return [];
}
