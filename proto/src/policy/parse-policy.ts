// Unknown JSON to a complete Policy.

import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { err, ok, type Problem, problem, type Result } from "../base/index.ts";
import { type Policy, PolicySchema } from "../gen/meridian/v1/policy_pb.ts";

/** A document above this is refused before it is parsed. 4 MiB. */
export const documentBytesMax = 4 * 1024 * 1024;

/**
 * Unknown JSON (ProtoJSON names) to a complete Policy: every form problem at once (unknown fields, wrong types, unknown
 * enum words, missing names), each with its path in the document.
 */
export function parsePolicy(document: unknown): Result<Policy, readonly Problem[]> {
  try {
    return ok(fromJson(PolicySchema, document as JsonValue));
  } catch (cause) {
    return err([problem("unreadable", "", String(cause))]);
  }
}
