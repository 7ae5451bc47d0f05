// placeholder for the parallel work: signatures stand, see check-policy.ts
import { err, type Problem, problem, type Result } from "../base/index.ts";
import type { Policy } from "../gen/meridian/v1/policy_pb.ts";

/** A document above this is refused before it is parsed. 4 MiB. */
export const documentBytesMax = 4 * 1024 * 1024;

/**
 * Unknown JSON (ProtoJSON names) to a complete Policy: every form problem at once (unknown fields, wrong types, unknown
 * enum words, missing names), each with its path in the document.
 */
export function parsePolicy(_document: unknown): Result<Policy, readonly Problem[]> {
  return err([problem("todo", "", "")]);
}
