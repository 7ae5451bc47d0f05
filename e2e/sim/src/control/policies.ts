// Policies of a run: from the row in the store to what is served. Compiling is pure, so one result serves all control
// planes of all runs of a process.

import { create } from "@bufbuild/protobuf";
import { compile } from "@meridian/control-core/compile";
import { err, ok, type Problem, problem, type Result, refuses } from "@meridian/proto/base";
import type { Policy } from "@meridian/proto/gen/policy_pb";
import { type Snapshot, type Version, VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { checkPolicy, parsePolicy } from "@meridian/proto/policy";

/** The head of the policy as the model store keeps it: the document itself, without chunks. */
export type PolicyRow = {
  readonly epoch: number;
  readonly sequence: number;
  readonly document: unknown;
};

export const policyKey = "/pol/head";

export type Published = {
  readonly version: Version;
  readonly policy: Policy;
  readonly snapshots: ReadonlyMap<string, Snapshot>;
};

const compiled = new Map<string, Result<Published, readonly Problem[]>>();
/** Documents that are kept compiled. */
const compiledMax = 64;

/** A row out of the store, whoever wrote it. */
export function publish(row: unknown): Result<Published, readonly Problem[]> {
  const key = JSON.stringify(row);
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const result = compileRow(row);
  if (compiled.size >= compiledMax) compiled.clear();
  compiled.set(key, result);
  return result;
}

function compileRow(row: unknown): Result<Published, readonly Problem[]> {
  if (!isPolicyRow(row)) return err([problem("bad_row", policyKey, "the row names no policy")]);
  const parsed = parsePolicy(row.document);
  if (parsed.kind === "err") return parsed;
  const problems = checkPolicy(parsed.value);
  if (refuses(problems)) return err(problems);
  const version = create(VersionSchema, {
    epoch: BigInt(row.epoch),
    sequence: BigInt(row.sequence),
  });
  return ok({ version, policy: parsed.value, snapshots: compile(parsed.value, version) });
}

function isPolicyRow(row: unknown): row is PolicyRow {
  if (typeof row !== "object" || row === null) return false;
  const fields = new Map<string, unknown>(Object.entries(row));
  return Number.isInteger(fields.get("epoch")) && Number.isInteger(fields.get("sequence"));
}
