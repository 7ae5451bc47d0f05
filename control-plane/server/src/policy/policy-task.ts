// The heavy work on policies, as plain functions from bytes to bytes: they run on a thread of their own, never on the
// one that serves streams.

import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { compile } from "@meridian/control-core/compile";
import { type Change, diffPolicies } from "@meridian/control-core/diff";
import {
  assertNever,
  err,
  ok,
  type Problem,
  problem,
  type Result,
  refuses,
} from "@meridian/proto/base";
import { checkSnapshot } from "@meridian/proto/check-snapshot";
import { type Policy, PolicySchema } from "@meridian/proto/gen/policy_pb";
import {
  type Snapshot,
  SnapshotSchema,
  type Version,
  VersionSchema,
} from "@meridian/proto/gen/snapshot_pb";
import { checkDocumentSize, checkPolicy, parsePolicy } from "@meridian/proto/policy";

export type PolicyTask =
  /** Is this document fit to be applied? */
  | { readonly kind: "check"; readonly document: Uint8Array }
  /** What changes from one document to the next? Both have passed a check. */
  | { readonly kind: "diff"; readonly before: Uint8Array | undefined; readonly after: Uint8Array }
  /** The snapshots of a document from the store. */
  | {
      readonly kind: "compile";
      readonly document: Uint8Array;
      readonly epoch: bigint;
      readonly sequence: bigint;
    };

export type Checked = {
  /** Warnings too. */
  readonly problems: readonly Problem[];
  /** Equal policies have equal bytes. undefined: the document is refused. */
  readonly canonical: Uint8Array | undefined;
};

/** Encoded, so that it crosses threads without being copied. */
export type CompiledBytes = {
  readonly policy: Uint8Array;
  readonly snapshots: readonly Uint8Array[];
};

export type PolicyTaskResult = {
  readonly check: Checked;
  readonly diff: readonly Change[];
  readonly compile: Result<CompiledBytes, readonly Problem[]>;
};

export function runPolicyTask(task: PolicyTask): PolicyTaskResult[PolicyTask["kind"]] {
  switch (task.kind) {
    case "check":
      return check(task.document);
    case "diff":
      return diff(task.before, task.after);
    case "compile": {
      const { epoch, sequence } = task;
      return compileStored(task.document, create(VersionSchema, { epoch, sequence }));
    }
    default:
      return assertNever(task);
  }
}

/** Back from bytes; undecodable ones are a defect of this program and throw. */
export function decodeCompiled(bytes: CompiledBytes): {
  readonly policy: Policy;
  readonly snapshots: readonly Snapshot[];
} {
  return {
    policy: fromBinary(PolicySchema, bytes.policy),
    snapshots: bytes.snapshots.map((each) => fromBinary(SnapshotSchema, each)),
  };
}

function check(document: Uint8Array): Checked {
  const parsed = parseDocument(document);
  if (parsed.kind === "err") return { problems: parsed.error, canonical: undefined };
  const policy = parsed.value;
  const problems = checkPolicy(policy);
  if (refuses(problems)) return { problems, canonical: undefined };
  // The version is not known yet, and no check depends on it.
  const snapshots = compile(policy, create(VersionSchema, { epoch: 1n, sequence: 1n }));
  const unfit = uniqueProblems([...snapshots.values()]);
  if (refuses(unfit)) return { problems: [...unfit, ...problems], canonical: undefined };
  const canonical = new TextEncoder().encode(toJsonString(PolicySchema, policy));
  const tooLarge = checkDocumentSize(canonical.length);
  if (tooLarge !== undefined) return { problems: [tooLarge], canonical: undefined };
  return { problems: [...problems, ...unfit], canonical };
}

function diff(before: Uint8Array | undefined, after: Uint8Array): readonly Change[] {
  const old = before === undefined ? undefined : parseDocument(before);
  const now = parseDocument(after);
  // A former policy that can't be read any more is as good as none: everything counts as added.
  return now.kind === "ok"
    ? diffPolicies(old?.kind === "ok" ? old.value : undefined, now.value)
    : [];
}

/** What stands in the store is checked like what comes from outside: anybody may have written it. */
function compileStored(
  document: Uint8Array,
  version: Version,
): Result<CompiledBytes, readonly Problem[]> {
  const parsed = parseDocument(document);
  if (parsed.kind === "err") return parsed;
  const problems = checkPolicy(parsed.value);
  if (refuses(problems)) return err(problems);
  const snapshots = [...compile(parsed.value, version).values()];
  const unfit = uniqueProblems(snapshots);
  if (refuses(unfit)) return err(unfit);
  return ok({
    policy: toBinary(PolicySchema, parsed.value),
    snapshots: snapshots.map((each) => toBinary(SnapshotSchema, each)),
  });
}

function parseDocument(document: Uint8Array): Result<Policy, readonly Problem[]> {
  const tooLarge = checkDocumentSize(document.length);
  if (tooLarge !== undefined) return err([tooLarge]);
  const json = parseJson(document);
  return json.kind === "ok" ? parsePolicy(json.value) : err([json.error]);
}

function parseJson(document: Uint8Array): Result<unknown, Problem> {
  if (document.length === 0) return ok(undefined);
  const hint = "the document must be JSON in UTF-8; the command meridian turns YAML into it";
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(document);
    const value: unknown = JSON.parse(text);
    return ok(value);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message.slice(0, 300) : "it can't be parsed";
    return err(problem("broken_json", "", message, hint));
  }
}

/** Regions share most of their resources, so most problems would be told once for each region. */
function uniqueProblems(snapshots: readonly Snapshot[]): readonly Problem[] {
  const found = new Map<string, Problem>();
  for (const snapshot of snapshots) {
    for (const each of checkSnapshot(snapshot)) {
      found.set(`${each.code} ${each.path} ${each.message}`, each);
    }
  }
  return [...found.values()];
}
