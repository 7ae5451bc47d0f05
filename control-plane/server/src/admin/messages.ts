// From our own values to the messages of the admin service.

import { create } from "@bufbuild/protobuf";
import type { Change } from "@meridian/control-core/diff";
import { type Problem, problem } from "@meridian/proto/base";
import {
  Change_Kind,
  type Change as ChangeMessage,
  ChangeSchema,
} from "@meridian/proto/gen/admin_pb";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import { type Problem as ProblemMessage, ProblemSchema } from "@meridian/proto/gen/sync_pb";
import { formatVersion } from "@meridian/proto/snapshot";

export function problemMessages(problems: readonly Problem[]): ProblemMessage[] {
  return problems.map((each) => create(ProblemSchema, each));
}

export function changeMessages(changes: readonly Change[]): ChangeMessage[] {
  return changes.map((each) => create(ChangeSchema, { ...each, kind: Change_Kind[each.kind] }));
}

/** Somebody else applied in between. */
export function conflictProblem(
  expected: Version | undefined,
  inForce: Version | undefined,
): Problem {
  const message = `${formatVersion(inForce)} is in force, not ${formatVersion(expected)}`;
  const hint =
    inForce === undefined
      ? "nothing was ever applied here; apply without an expected version"
      : `look at what changed, then apply to that: --expected ${formatVersion(inForce)}`;
  return problem("conflict", "expected", message, hint);
}
